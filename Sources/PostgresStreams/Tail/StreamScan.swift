/// What one tail of all streams has found, and where it looks for more. No IO.
///
/// Streams have ascending ids, and an id may become visible after a higher one. So a scan begins at a floor below which
/// every id is settled: it was seen, or its transaction has ended without it.
///
///     scan 1   sees ids up to m, while transactions up to x are under way     floor
///     scan 2   finds all of those ended: what they left at or below m is seen   ↓
///     scan 3   begins above m                                                   m
///
/// One old transaction, of anybody in the cluster, keeps the floor where it is. Then only the last ids are looked at when a
/// hint comes, and all above the floor once per interval.
///
/// For that a transaction has its number before the stream has its id: the functions of 0002_append.sql see to it.
///
/// Another server may have lost the last streams, and given their ids to others: over a new connection it begins anew.
struct StreamScan {
    typealias Instant = ContinuousClock.Instant

    /// The streams with ids above this are to be asked for, so many of them, and where each ends.
    struct Query: Equatable {
        var position: Int
        var limit: Int
        var withEnds: Bool
    }

    /// The answer.
    struct Page {
        struct Row {
            var id: Int
            var name: StreamName
            var end: Int
        }

        var rows: [Row]
        /// The greatest id there was.
        var highest: Int
        /// The oldest transaction that was under way, and the first that had not begun.
        var transactions: (oldest: Int, next: Int)
    }

    private struct UnderWay {
        /// Where its next page begins.
        var position: Int
        /// It began at the floor.
        var isWhole: Bool
        /// The oldest transaction under way at its beginning, and the first that had not begun at its end.
        var horizon: (oldest: Int, next: Int)?
    }

    private let prefix: String
    private let start: TailStart
    private let pageSize: Int
    private let interval: Duration

    /// Of all streams seen; of those that do not begin with the prefix too, or every hint at one would start a scan.
    private var digests: Set<UInt64> = []
    private var floor = 0
    /// The ids seen above the floor.
    private var seen: Set<Int> = []
    private var highestSeen = 0
    private var underWay: UnderWay?
    private var scansAgain = false
    /// Of the last whole scan: the highest id it saw, and the first transaction that had not begun then.
    private var lastScan: (highest: Int, nextTransaction: Int)?
    private var nextWholeScan: Instant?
    private var isFirstScan = true
    /// The connection over which all this was found.
    private var connection = -1
    /// The greatest id there was when it first looked.
    private var highestAtStart: Int?

    /// Of so many ids below the highest one may still come, as long as no transaction takes much longer than others. And so
    /// many streams are looked through each time.
    static let recentIDs = 1000

    /// - Parameter interval: how long to leave at least between whole scans that go over the same streams again.
    init(prefix: String, from start: TailStart, pageSize: Int = 5000, interval: Duration) {
        self.prefix = prefix
        self.start = start
        self.pageSize = pageSize
        self.interval = interval
    }

    func isNews(_ hinted: some Sequence<UInt64>) -> Bool { hinted.contains { !digests.contains($0) } }

    /// Begins a scan; nil where one is under way, which may have been too early: another follows.
    ///
    /// - Parameter connection: over which it asks; `failed`, where another answers.
    mutating func begin(over connection: Int, at now: Instant) -> Query? {
        guard underWay == nil else {
            scansAgain = true
            return nil
        }
        if connection != self.connection {
            self.connection = connection
            (floor, seen, highestSeen, lastScan, nextWholeScan) = (0, [], 0, nil, nil)
        }
        let recent = highestSeen - Self.recentIDs
        let isWhole = seen.count <= Self.recentIDs || recent <= floor || nextWholeScan.map { $0 <= now } ?? true
        if isWhole { nextWholeScan = now + interval }
        underWay = UnderWay(position: isWhole ? floor : recent, isWhole: isWhole)
        return query
    }

    private var query: Query? {
        // Only streams that are there when the tail begins can have an end to begin at.
        underWay.map { Query(position: $0.position, limit: pageSize, withEnds: isFirstScan && start == .end) }
    }

    /// - Returns: the streams that are new here and begin with the prefix, some of which may have been found over an earlier
    ///   connection; what to ask next; whether to begin another scan.
    mutating func answered(_ page: Page) -> (new: [(name: StreamName, cursor: Int)], next: Query?, scansAgain: Bool) {
        guard var scan = underWay else { return ([], nil, false) }
        let highestAtStart = highestAtStart ?? page.highest
        self.highestAtStart = highestAtStart
        scan.horizon = (scan.horizon?.oldest ?? page.transactions.oldest, page.transactions.next)
        scan.position = page.rows.last?.id ?? scan.position
        let unseen = page.rows.filter { seen.insert($0.id).inserted }
        for row in unseen { digests.insert(row.name.digest) }
        let new = unseen.filter { $0.name.text.utf8.starts(with: prefix.utf8) }.map { row in
            (name: row.name, cursor: cursor(end: isFirstScan && row.id <= highestAtStart ? row.end : 0))
        }
        highestSeen = max(highestSeen, scan.position)
        guard page.rows.count < pageSize else {
            underWay = scan
            return (new, query, false)
        }
        underWay = nil
        if scan.isWhole { finish(scan) }
        defer { scansAgain = false }
        return (new, nil, scansAgain)
    }

    /// The scan under way came to nothing.
    mutating func failed() {
        underWay = nil
        scansAgain = false
        nextWholeScan = nil
    }

    private mutating func finish(_ scan: UnderWay) {
        isFirstScan = false
        guard let horizon = scan.horizon else { return }
        if let last = lastScan, horizon.oldest < last.nextTransaction { return }
        if let last = lastScan, last.highest > floor {
            floor = last.highest
            seen = seen.filter { $0 > last.highest }
        }
        lastScan = (scan.position, horizon.next)
    }

    private func cursor(end: Int) -> Int {
        switch start {
        case .start: 0
        case .position(let position): min(max(0, position), PostgresStream.greatestPosition)
        case .end: end
        }
    }
}
