import DequeModule

/// Which pages of a stream are asked for, one after the other and several at a time, and in what order they are taken in.
/// No IO.
///
/// Used by `StreamIndex`. Pages are asked for by position before those in front of them have come, on the assumption that
/// each is full. One that is not, since a large event ended it, makes those behind it worthless: they are asked for again.
struct ReadAhead<Page> {
    struct Request: Hashable, Sendable {
        let number: Int
        let start: Int
        /// How many events it may bring.
        let count: Int
        /// The stream was known to have so many: what is missing below it is lost.
        let knownEnd: Int
    }

    /// What a page should weigh, in bytes.
    private static var targetByteCount: Int { 4 << 20 }

    /// How many pages are under way at most: while one is taken in the server prepares the others.
    static var depth: Int { 3 }

    /// A page has at most so many times as many events as the one before: who stops early has not asked for much.
    private static var growth: Int { 8 }

    private let mostEvents: Int
    private var limit: Int
    private var lastNumber = 0
    private var underWay: Deque<Request> = []
    /// Those that came before their turn.
    private var early: [Int: Page] = [:]
    private var mayBeShort = false

    /// - Parameter mostEvents: the most that a page may have.
    init(mostEvents: Int) {
        self.mostEvents = mostEvents
        // Nothing is known yet of the events' size: the first page is small enough for any.
        limit = min(128, mostEvents)
    }

    var isIdle: Bool { underWay.isEmpty }

    /// What to ask for so that the pages from `position` towards `target` are under way, as many as may be at a time.
    ///
    /// - Parameters:
    ///   - end: how many events the stream has, where that is known; nothing is asked for beyond.
    ///   - most: how many pages may be under way.
    mutating func requests(from position: Int, towards target: Int, end: Int?, most: Int = depth) -> [Request] {
        var requests: [Request] = []
        // Of an unknown end one only hears with a page, and a short page makes those behind it worthless.
        let depth = end == nil || mayBeShort ? min(1, most) : most
        while underWay.count < depth {
            let start = underWay.last.map { $0.start + $0.count } ?? position
            let count = min(limit, (end ?? .max) - start)
            guard start < target, count > 0 else { break }
            lastNumber += 1
            let request = Request(number: lastNumber, start: start, count: count, knownEnd: end ?? 0)
            underWay.append(request)
            requests.append(request)
        }
        return requests
    }

    /// Takes a page that came; false where nobody waits for it any more. `next` gives it when it is its turn.
    mutating func received(_ page: Page, for request: Request) -> Bool {
        guard underWay.contains(request) else { return false }
        early[request.number] = page
        return true
    }

    /// The next page in the stream's order, if it has come.
    mutating func next() -> (request: Request, page: Page)? {
        guard let first = underWay.first, let page = early.removeValue(forKey: first.number) else { return nil }
        underWay.removeFirst()
        return (first, page)
    }

    /// Takes note of what the page that `next` gave had in it.
    ///
    /// - Parameter endsLarge: a large event ended it.
    mutating func tookIn(_ request: Request, count: Int, weight: Int, endsLarge: Bool) {
        mayBeShort = endsLarge
        if count > 0 {
            limit = min(mostEvents, limit * Self.growth, max(16, Self.targetByteCount / max(1, weight / count)))
        }
        if count < request.count { forget() }
    }

    /// Whether the request is one of those under way; then all of them are given up.
    mutating func failed(_ request: Request) -> Bool {
        guard underWay.contains(request) else { return false }
        forget()
        return true
    }

    /// What is under way is not waited for any more.
    mutating func forget() {
        underWay = []
        early = [:]
    }
}
