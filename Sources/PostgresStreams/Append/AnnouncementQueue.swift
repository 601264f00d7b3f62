/// What is to be announced, when, and over which connection. No IO.
///
/// An announcement goes behind an append, on the same connection, where it wakes nobody and nobody waits for its answer. It
/// goes apart, over the announcer's own connection, where it would keep the next append waiting: where many streams move,
/// since then the connection that appends is what all wait for, for a while where it was slow, because others hold the
/// lock that it needs, and behind a pooler, where nothing goes behind what is not answered.
///
/// One is under way at a time; what moves meanwhile is in the next. After one of many streams the next waits a little, so
/// that the cost does not grow with the appends'.
struct AnnouncementQueue {
    typealias Instant = ContinuousClock.Instant

    private struct Waiting {
        /// Of a stream's name.
        var digest: UInt64
        var number: Int
    }

    /// In the order they came; each digest once.
    private var waiting: [Waiting] = []
    private var isWaiting: Set<UInt64> = []
    /// What is added is counted, so that it can be told when all that was added so far is announced.
    private(set) var lastNumber = 0
    private var isUnderWay = false
    /// What waits is to go apart as soon as what is under way is answered: no append will take it along.
    private var isDue = false
    /// The departure that the announcement under way is behind, and when that was answered.
    private var behind: Int?
    private var behindSince: Instant?
    private var notBefore: Instant?
    private var apartUntil: Instant?
    /// Until when nothing goes apart, since there was no connection for it: many too go behind appends.
    private var cutOffUntil: Instant?
    /// How long it stays apart: each time longer, until one behind an append is quick again.
    private var apart = BackOff()

    /// Of so many streams an announcement is worth a connection's while.
    static let many = 8
    static let longestPause = Duration.milliseconds(8)
    /// Behind an append's answer it takes a fraction of a millisecond.
    static let slow = Duration.milliseconds(5)

    /// Then it is looked whether there is one again.
    private static let cutOff = Duration.seconds(5)

    var hasWaiting: Bool { !waiting.isEmpty }

    /// Whether what is under way is behind a departure that is not answered.
    var awaitsAppend: Bool { isUnderWay && behind != nil && behindSince == nil }

    /// Whether all that was added has been announced.
    var isIdle: Bool { isAnnounced(through: lastNumber) }

    /// Whether all that was added by then has been announced, and nothing is under way.
    func isAnnounced(through number: Int) -> Bool { !isUnderWay && (waiting.first?.number ?? .max) > number }

    mutating func add(_ digests: some Sequence<UInt64>) {
        for digest in digests where isWaiting.insert(digest).inserted {
            lastNumber += 1
            waiting.append(Waiting(digest: digest, number: lastNumber))
        }
    }

    /// What went apart has found no connection: it goes behind an append.
    mutating func cutOff(_ digests: some Sequence<UInt64>, at now: Instant) {
        add(digests)
        cutOffUntil = now + Self.cutOff
    }

    /// Whether so many go behind an append.
    func goBehind(_ count: Int, at now: Instant) -> Bool {
        count < Self.many || (count <= HintPayload.capacity && isCutOff(at: now))
    }

    /// A departure to these is committed. Where no announcement is behind it they wait: few of them for the next append, which
    /// soon comes.
    ///
    /// - Parameter isAlone: no announcement goes behind its like.
    /// - Returns: whether what waits is to go apart now.
    mutating func appended(
        _ departure: Int,
        to digests: some Sequence<UInt64>,
        isAlone: Bool,
        at now: Instant
    ) -> Bool {
        guard behind != departure else {
            behindSince = now
            return false
        }
        add(digests)
        let areMany = waiting.count >= Self.many && (isAlone || !isCutOff(at: now))
        return isApart(at: now) || (isAlone && !areMany) || (areMany && !isUnderWay && isTime(at: now))
    }

    /// What goes behind a departure to these: they and what waits. Empty where it is not the time, or they are many.
    mutating func takeBehind(_ departure: Int, to digests: [UInt64], at now: Instant) -> [UInt64] {
        guard goBehind(digests.count, at: now), !isUnderWay, isTime(at: now), !isApart(at: now) else { return [] }
        if !waiting.isEmpty {
            isWaiting.subtract(digests)
            waiting.removeAll { !isWaiting.contains($0.digest) }
        }
        behind = departure
        return depart(with: digests, atMost: HintPayload.capacity - digests.count, at: now)
    }

    /// What goes over a connection that has nothing else to do.
    mutating func takeWhileIdle(at now: Instant) -> [UInt64] {
        isUnderWay ? [] : depart(atMost: HintPayload.capacity, at: now)
    }

    /// What goes apart: now, or else when what is under way has been answered.
    mutating func takeApart(at now: Instant) -> [UInt64] {
        guard hasWaiting, !isUnderWay else {
            isDue = hasWaiting
            return []
        }
        let digests = depart(atMost: HintPayload.capacity, at: now)
        isDue = hasWaiting
        return digests
    }

    /// What was under way is answered.
    ///
    /// - Returns: whether what waits is to go apart now.
    mutating func sent(at now: Instant) -> Bool {
        isUnderWay = false
        defer { (behind, behindSince) = (nil, nil) }
        if let begin = behindSince {
            if now - begin > Self.slow {
                apart.failed()
                apartUntil = now + apart.delay
            } else {
                apart = BackOff()
            }
        }
        return hasWaiting && (isDue || isApart(at: now))
    }

    private func isTime(at now: Instant) -> Bool { notBefore.map { $0 <= now } ?? true }

    private func isApart(at now: Instant) -> Bool { apartUntil.map { $0 > now } ?? false }

    private func isCutOff(at now: Instant) -> Bool { cutOffUntil.map { $0 > now } ?? false }

    /// An announcement costs the server, and each process that listens, about the same whatever it holds: where many streams
    /// move, the next waits for more of them.
    ///
    /// - Parameters:
    ///   - digests: of what did not wait.
    ///   - count: how many of what waits go along.
    private mutating func depart(with digests: [UInt64] = [], atMost count: Int, at now: Instant) -> [UInt64] {
        let taken = Array(waiting.prefix(count))
        let digests = digests + taken.map(\.digest)
        guard !digests.isEmpty else { return [] }
        isUnderWay = true
        isWaiting.subtract(taken.lazy.map(\.digest))
        waiting.removeFirst(taken.count)
        let share = Duration.microseconds(digests.count < Self.many ? 30 : 120)
        notBefore = now + min(Self.longestPause, share * (digests.count - 1))
        return digests
    }
}
