/// What was called, acknowledged and seen in a run, from which `violations` finds the promises that were broken.
///
/// No IO, no clock: whoever runs says each thing as it happens. A call is said before it is made and its answer after it
/// came, so that an answer said before another call really came before it was made.
package struct History: Sendable {
    /// What is known of an append.
    package enum Outcome: Hashable, Sendable {
        /// It has not returned, or nobody knows.
        case unknown
        case acknowledged(at: Int)
        case notWritten
        /// Position unknown.
        case written
    }

    struct Append: Sendable {
        var stream: Int32
        var first: EventID
        var count: Int32
        var epoch: Int32
        var expecting: Int?
        var began: Int
        /// When it was acknowledged.
        var ended = Int.max
        /// When it returned, in whatever way.
        var returned = Int.max
        var outcome = Outcome.unknown
    }

    struct Claim: Sendable {
        var stream: Int
        var began: Int
        var ended = Int.max
        var epoch = 0
        var position = 0
    }

    struct Tail: Sendable {
        var stream: Int
        var start: Int
        var events: [EventID?] = []
        var isComplete = false
        /// When it ended, or was given up.
        var ended = Int.max
        /// It ended by saying that the end of the log was lost.
        var wasReplaced = false
        /// It skipped or repeated: what comes after says nothing more.
        var isBroken = false
    }

    struct Read: Sendable {
        var stream: Int
        var began: Int
        var events: [EventID?] = []
        var isFinished = false
    }

    var appends: [Append] = []
    var claims: [Claim] = []
    var tails: [Tail] = []
    var reads: [Read] = []
    /// What each stream held at the end.
    var ends: [Int: [EventID?]] = [:]
    /// From before the primary was killed until its standby was asked to take over.
    var failover: ClosedRange<Int>?
    /// Broken on the spot.
    var immediate: [Violation] = []
    private var tick = 0

    package init() {}

    private mutating func now() -> Int {
        tick += 1
        return tick
    }

    // MARK: Failover

    /// The primary is about to be killed, and a standby that may be behind to take over: what began until `endFailover`
    /// and is acknowledged may be lost, from some position of each stream on. At most one in a history.
    package mutating func beginFailover() {
        let begin = now()
        failover = begin...Int.max
    }

    /// The standby has been asked to take over, and the primary is no more.
    package mutating func endFailover() {
        let end = now()
        failover = failover.map { $0.lowerBound...end }
    }

    /// How many events were acknowledged, and are not there at the end.
    package var lostEventCount: Int {
        var there: Set<EventID> = []
        for events in ends.values { there.formUnion(events.compactMap(\.self)) }
        return appends.reduce(0) { count, append in
            guard case .acknowledged = append.outcome else { return count }
            return count + append.ids.count { !there.contains($0) }
        }
    }

    // MARK: Appends

    /// An append is about to be called: `count` events, numbered from `first` on, by a writer with that epoch (0: none).
    ///
    /// - Returns: its number, for its answer.
    package mutating func begin(
        _ first: EventID,
        count: Int = 1,
        to stream: Int,
        epoch: Int = 0,
        expecting: Int? = nil
    ) -> Int {
        appends.append(
            Append(
                stream: Int32(stream),
                first: first,
                count: Int32(count),
                epoch: Int32(epoch),
                expecting: expecting,
                began: now()
            )
        )
        return appends.count - 1
    }

    /// It returned, the first event at `position`.
    package mutating func acknowledge(_ append: Int, at position: Int) {
        appends[append].ended = now()
        appends[append].returned = appends[append].ended
        appends[append].outcome = .acknowledged(at: position)
    }

    /// It failed, and that is what became of it; nil where the error did not say.
    package mutating func fail(_ append: Int, _ outcome: Outcome?) {
        appends[append].returned = now()
        appends[append].outcome = outcome ?? .unknown
        if outcome == nil {
            let append = appends[append]
            immediate.append(
                Violation(
                    law: .outcomeIsSaid,
                    stream: Int(append.stream),
                    details: "the append of \(append.first) failed without an outcome"
                )
            )
        }
    }

    /// What an unknown outcome turned out to be.
    package mutating func resolve(_ append: Int, _ outcome: Outcome) { appends[append].outcome = outcome }

    // MARK: Claims

    package mutating func beginClaim(of stream: Int) -> Int {
        claims.append(Claim(stream: stream, began: now()))
        return claims.count - 1
    }

    package mutating func endClaim(_ claim: Int, epoch: Int, position: Int) {
        claims[claim].ended = now()
        claims[claim].epoch = epoch
        claims[claim].position = position
    }

    // MARK: Reading

    /// - Returns: its number.
    package mutating func beginTail(of stream: Int, from start: Int) -> Int {
        tails.append(Tail(stream: stream, start: start))
        return tails.count - 1
    }

    /// A tail delivered an event; nil: one that nobody can have appended.
    package mutating func deliver(_ event: EventID?, at position: Int, to tail: Int) {
        guard !tails[tail].isBroken else { return }
        let expected = tails[tail].start + tails[tail].events.count
        guard position == expected else {
            tails[tail].isBroken = true
            immediate.append(
                Violation(
                    law: .tailEqualsStream,
                    stream: tails[tail].stream,
                    details: "tail \(tail) delivered position \(position), not \(expected)"
                )
            )
            return
        }
        tails[tail].events.append(event)
    }

    /// A tail came to the end of its stream, or said so. One that was given up need not have.
    package mutating func completeTail(_ tail: Int) {
        tails[tail].isComplete = true
        endTail(tail)
    }

    /// A tail was given up.
    package mutating func endTail(_ tail: Int) { tails[tail].ended = now() }

    /// A tail ended by saying that what it had delivered is no longer there.
    package mutating func replaceTail(_ tail: Int) {
        tails[tail].wasReplaced = true
        endTail(tail)
        guard failover == nil else { return }
        immediate.append(
            Violation(
                law: .replacedByFailoverOnly,
                stream: tails[tail].stream,
                details: "tail \(tail) ended for a lost end of the log, and there was no failover"
            )
        )
    }

    /// So many tails were waited for at the end of the run, and did not come to the end of their streams.
    package mutating func giveUpTails(_ count: Int) {
        let details = "\(count) tails did not come to the end in time"
        immediate.append(Violation(law: .tailEqualsStream, stream: -1, details: details))
    }

    package mutating func beginRead(of stream: Int) -> Int {
        reads.append(Read(stream: stream, began: now()))
        return reads.count - 1
    }

    package mutating func endRead(_ read: Int, _ events: [EventID?]) {
        reads[read].events = events
        reads[read].isFinished = true
    }

    /// What a stream holds when all is over: position and event, in the order they were read.
    package mutating func end(_ stream: Int, with entries: [(position: Int, event: EventID?)]) {
        ends[stream] = entries.map(\.event)
        if let (index, entry) = entries.enumerated().first(where: { $0.offset != $0.element.position }) {
            immediate.append(
                Violation(
                    law: .dense,
                    stream: stream,
                    details: "position \(entry.position) comes where \(index) is due"
                )
            )
        }
    }
}
