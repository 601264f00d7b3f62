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

    /// Why an append was refused, where somebody else's doing must have been the reason.
    package enum Refusal: Sendable {
        case fenced, conflict
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
        /// What it was told when it failed, where that says something of others.
        var refusal: Refusal?
    }

    struct Claim: Sendable {
        var stream: Int
        var began: Int
        var ended = Int.max
        var epoch = 0
        var position = 0
        /// How many events readers had been shown before it began.
        var shown: Int
    }

    struct Tail: Sendable {
        var stream: Int
        var start: Int
        var events: [EventID?] = []
        var isComplete = false
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
        /// How many events readers had been shown before it began.
        var shown: Int
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
    /// How many events of each stream readers have been shown.
    private var shown: [Int: Int] = [:]
    /// The number behind the last event that each writer has begun to append.
    private var begun: [Int32: Int32] = [:]

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
        begun[first.writer] = max(begun[first.writer] ?? .min, first.number + Int32(count))
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

    /// It returned these positions.
    package mutating func acknowledge(_ append: Int, at positions: Range<Int>) {
        acknowledge(append, at: positions.lowerBound)
        guard positions.count != appends[append].count else { return }
        let append = appends[append]
        breaks(
            .wholeBatches,
            stream: Int(append.stream),
            "the \(append.count) events from \(append.first) on were answered \(positions)"
        )
    }

    /// It returned, the first event at `position`.
    package mutating func acknowledge(_ append: Int, at position: Int) {
        appends[append].ended = now()
        appends[append].returned = appends[append].ended
        appends[append].outcome = .acknowledged(at: position)
    }

    /// It failed, and that is what became of it; nil where the error did not say.
    ///
    /// - Parameter hasReceipt: whether an unknown outcome can be found out later.
    package mutating func fail(
        _ append: Int,
        _ outcome: Outcome?,
        _ refusal: Refusal? = nil,
        hasReceipt: Bool = true
    ) {
        appends[append].returned = now()
        appends[append].outcome = outcome ?? .unknown
        appends[append].refusal = refusal
        let (stream, first) = (Int(appends[append].stream), appends[append].first)
        if outcome == nil { breaks(.outcomeIsSaid, stream: stream, "the append of \(first) failed without an outcome") }
        if outcome == .unknown, !hasReceipt {
            breaks(.outcomeIsSaid, stream: stream, "the append of \(first), whose outcome is unknown, has no receipt")
        }
        if refusal == .conflict, appends[append].expecting == nil {
            breaks(.refusedForAReason, stream: stream, "the append of \(first), which may go anywhere, met a conflict")
        }
    }

    /// What an unknown outcome turned out to be.
    package mutating func resolve(_ append: Int, _ outcome: Outcome) { appends[append].outcome = outcome }

    // MARK: Claims

    package mutating func beginClaim(of stream: Int) -> Int {
        claims.append(Claim(stream: stream, began: now(), shown: shown[stream] ?? 0))
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
        let (stream, expected) = (tails[tail].stream, tails[tail].start + tails[tail].events.count)
        guard position == expected else {
            tails[tail].isBroken = true
            breaks(.tailEqualsStream, stream: stream, "tail \(tail) delivered position \(position), not \(expected)")
            return
        }
        tails[tail].events.append(event)
        shown(event, of: stream)
        shown[stream] = max(shown[stream] ?? 0, position + 1)
    }

    /// A tail came to the end of its stream, or said so. One that was given up need not have.
    package mutating func completeTail(_ tail: Int) { tails[tail].isComplete = true }

    /// A tail ended, though neither was the end of its stream there nor had anybody given it up, and did not say for one of
    /// the reasons that there are.
    package mutating func loseTail(_ tail: Int, _ how: String) {
        let end = tails[tail].start + tails[tail].events.count
        breaks(.tailGoesOn, stream: tails[tail].stream, "tail \(tail) ended before position \(end): \(how)")
    }

    /// A tail ended by saying that what it had delivered is no longer there.
    package mutating func replaceTail(_ tail: Int) {
        tails[tail].wasReplaced = true
        guard failover == nil else { return }
        breaks(
            .replacedByFailoverOnly,
            stream: tails[tail].stream,
            "tail \(tail) ended for a lost end of the log, and there was no failover"
        )
    }

    /// A tail ended by saying that events are missing from the middle of its stream.
    package mutating func damageTail(_ tail: Int, _ how: String) { damage(of: tails[tail].stream, how) }

    /// So many tails were waited for at the end of the run, and did not come to the end of their streams.
    package mutating func giveUpTails(_ count: Int) {
        breaks(.tailEqualsStream, stream: -1, "\(count) tails did not come to the end in time")
    }

    package mutating func beginRead(of stream: Int) -> Int {
        reads.append(Read(stream: stream, began: now(), shown: shown[stream] ?? 0))
        return reads.count - 1
    }

    package mutating func endRead(_ read: Int, _ events: [EventID?]) {
        reads[read].events = events
        reads[read].isFinished = true
        let stream = reads[read].stream
        for event in events { shown(event, of: stream) }
        shown[stream] = max(shown[stream] ?? 0, events.count)
    }

    private mutating func shown(_ event: EventID?, of stream: Int) {
        guard let event, event.number >= begun[event.writer] ?? .min else { return }
        breaks(.noStrangers, stream: stream, "a reader was shown \(event) before it was appended")
    }

    /// A replay index answered something else than what the stream holds at this position.
    package mutating func replay(of stream: Int, differsAt position: Int) {
        breaks(.replayEqualsStream, stream: stream, "the replay index differs from position \(position)")
    }

    /// The transactions that appended these events, and wrote a row of their own with each, left rows of those in `rows`.
    package mutating func endTransactions(of appended: Set<EventID>, rows: Set<EventID>) {
        var there: Set<EventID> = []
        for events in ends.values { there.formUnion(events.compactMap(\.self)) }
        let torn = appended.intersection(there).symmetricDifference(rows)
        guard let first = torn.min(by: { ($0.writer, $0.number) < ($1.writer, $1.number) }) else { return }
        let what = rows.contains(first) ? "a row and no event" : "an event and no row"
        breaks(.wholeTransactions, stream: -1, "\(torn.count) transactions left one of two; that of \(first) \(what)")
    }

    /// What a stream holds when all is over: position and event, in the order they were read.
    package mutating func end(_ stream: Int, with entries: [(position: Int, event: EventID?)]) {
        ends[stream] = entries.map(\.event)
        let misplaced = entries.enumerated().first { $0.offset != $0.element.position }
        guard let (index, entry) = misplaced else { return }
        breaks(.dense, stream: stream, "position \(entry.position) comes where \(index) is due")
    }

    /// A reader was told that events are missing from the middle of a stream.
    package mutating func damage(of stream: Int, _ how: String) { breaks(.dense, stream: stream, how) }

    private mutating func breaks(_ law: Violation.Law, stream: Int, _ details: String) {
        immediate.append(Violation(law: law, stream: stream, details: details))
    }
}
