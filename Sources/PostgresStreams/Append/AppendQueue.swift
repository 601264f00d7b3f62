import DequeModule
import LibPQ

/// Which appends wait, which are on the wire, and what an answer means for each. No IO, no clock, no threads.
///
/// Used by `Appender`, which takes a segment for each of its connections that is free. Appends to one stream keep their
/// order: while some of them are on the wire, or lost and not settled, the stream is busy and its later ones wait. So
/// segments that are under way at the same time never share a stream.
///
/// A segment whose connection was lost stays and is sent again as it was, tokens and positions included, until the server
/// answers it: only so does the server know it again.
struct AppendQueue {
    struct Limits {
        var bytes: Int
        /// Streams in one transaction: each holds a lock until the commit, and the server's table of locks is shared by
        /// all (64 × `max_connections` as it comes).
        var runs = 256
        var events = 8192
        /// Segments on the wire at the same time.
        var segmentsUnderWay = 1
        /// Of those, appends that go alone: each may wait for a lock, and a connection with it.
        var alone = 1
        /// Streams whose end is remembered. With more, those of quiet streams are forgotten: it costs them a little time when
        /// they come again, and remembering all would grow without bound.
        var lanes = 100_000
    }

    /// What becomes of an append.
    struct Resolution {
        var append: Append
        var result: AppendResult
    }

    struct Sent {
        var segment: Segment
        /// An earlier sending was lost, or written in part, so that no refusal of this one says it was not written.
        var isRepeated: Bool
        /// It goes alone, since it may be why others were refused: somebody may hold its stream.
        var isLone = false
    }

    /// Where a stream ends, as the server told us when it took our last append.
    struct End {
        var streamID: Int
        var token: Token
        var epoch: Int?
    }

    /// One stream that has appends here, or had.
    struct Lane {
        var waiting: Deque<Append> = []
        /// Appends of it are on the wire or unsettled.
        var isBusy = false
        /// Where its next event goes, as far as we know. Only a hint: wrong costs a little time, no more.
        var nextPosition = 0
        /// What goes before it, where that is ours: then one event can be chained to it.
        var end: End?
        /// Others append to the stream: so many of our next ones are not chained.
        var unchained = 0
    }

    /// What keeps a stream's appends from being sent: the next was refused although it went alone. Somebody holds the stream.
    struct Rest {
        /// Nil where something else has happened to it since.
        var refusal: ServerMessage?
        /// Nil while it is tried again.
        private(set) var until: ContinuousClock.Instant?
        /// Longer each time.
        private var backOff: BackOff

        /// - Parameter deadline: when what is refused has to be given up. It is tried a last time shortly before, and not so
        ///   late that it would be given up while it waits there: whether it is written is then not known.
        init(
            after last: Rest?,
            because refusal: ServerMessage,
            at now: ContinuousClock.Instant,
            before deadline: ContinuousClock.Instant?
        ) {
            self.refusal = refusal
            backOff = last?.backOff ?? BackOff()
            backOff.failed()
            let end = now + backOff.delay
            until = deadline.map { Self.end(end, at: now, before: $0) } ?? end
        }

        /// How long its lock may keep a connection.
        var lockPatience: Duration { max(Self.leastPatience, min(Self.mostPatience, backOff.delay)) }

        private static func end(
            _ end: ContinuousClock.Instant,
            at now: ContinuousClock.Instant,
            before deadline: ContinuousClock.Instant
        ) -> ContinuousClock.Instant {
            let last = deadline - leastPatience * 2
            if now < last { return min(end, last) }
            // Past its deadline it has been given up.
            return max(end, deadline + leastPatience)
        }

        static let leastPatience = Duration.milliseconds(100)
        private static let mostPatience = Duration.seconds(1)

        mutating func end() { until = nil }
    }

    /// After another writer came between, so many appends of a stream go by `append_batch`, which waits its turn.
    static let unchainedAfterCollision = 64

    private let limits: Limits
    var segmentByteLimit: Int { limits.bytes }
    /// A lane keeps its number as long as there are appends of its stream.
    var lanes: [Lane] = []
    private var laneNumbers: [StreamName: Int] = [:]
    /// Lanes of no stream.
    private var vacant: [Int] = []
    /// Lanes that are not busy, do not rest and have appends, in the order they came to be so. None twice.
    var ready: Deque<Int> = []
    /// By lane, until it is answered or has no appends any more.
    var rests: [Int: Rest] = [:]
    /// How many appends wait in all lanes.
    var waitingCount = 0
    var onTheWire: [Sent] = []
    /// To be sent again, each as it was: the connection was lost, and nobody knows whether it was written; or something came
    /// between a chained one and its predecessors. First of all, but for those that may wait for a lock, which take turns with
    /// what is new.
    var unsettled: Deque<Sent> = []
    private var isTurnOfOthers = false
    private var segmentCount = 0
    private var tokenFamily = Token(high: 0, low: 0)
    private var tokenNumber = 0
    private var random: any RandomNumberGenerator & Sendable

    private var laneLimit: Int

    init(limits: Limits, random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()) {
        self.limits = limits
        laneLimit = limits.lanes
        self.random = random
    }

    var isEmpty: Bool { waitingCount == 0 && onTheWire.isEmpty && unsettled.isEmpty }

    /// Whether anything could be sent, were a connection free.
    var hasReady: Bool { !ready.isEmpty || hasUnsettled }

    /// Whether something is to be sent again.
    var hasUnsettled: Bool { unsettled.contains { !isResting($0) } }

    /// All its lanes are busy until it is answered, so that it is the only one of them that could rest.
    private func isResting(_ sent: Sent) -> Bool {
        !rests.isEmpty && sent.segment.runs.contains { rests[$0.lane]?.until != nil }
    }

    /// Whether more streams have something to send than one transaction takes.
    var hasMoreThanASegment: Bool { ready.count > limits.runs }

    /// How many appends are here, on the wire or not.
    var count: Int {
        let underWay = onTheWire.reduce(waitingCount) { $0 + $1.segment.appendCount }
        return unsettled.reduce(underWay) { $0 + $1.segment.appendCount }
    }

    /// When the first of all appends here has to be given up.
    var firstDeadline: ContinuousClock.Instant? {
        var first = Earliest()
        for lane in lanes {
            for append in lane.waiting { first.consider(append.deadline) }
        }
        for segment in sent { first.consider(segment.firstDeadline) }
        return first.time
    }

    /// When the first of the lanes has rested.
    var firstRestEnd: ContinuousClock.Instant? {
        var first = Earliest()
        for rest in rests.values { first.consider(rest.until) }
        return first.time
    }

    /// What was sent and is not answered.
    var sent: [Segment] { (onTheWire + unsettled).map(\.segment) }

    // MARK: In

    mutating func add(_ append: Append) {
        let lane = lane(of: append.stream)
        if lanes[lane].waiting.isEmpty, !lanes[lane].isBusy { ready.append(lane) }
        lanes[lane].waiting.append(append)
        waitingCount += 1
    }

    /// Takes back an append that was not sent; nil where it was.
    mutating func withdraw(_ id: Int, of stream: StreamName) -> Append? {
        guard let lane = laneNumbers[stream],
            let index = lanes[lane].waiting.firstIndex(where: { $0.id == id })
        else { return nil }
        let append = lanes[lane].waiting.remove(at: index)
        waitingCount -= 1
        if lanes[lane].waiting.isEmpty {
            ready.removeAll { $0 == lane }
            if !lanes[lane].isBusy { rests[lane] = nil }
        }
        return append
    }

    /// Its caller no longer waits for an append that is on the wire; nil where it is not.
    ///
    /// - Returns: the append as it was, and what `Journal.resolve` needs to find it.
    mutating func giveUp(_ id: Int) -> (Append, AppendReceipt)? {
        for index in onTheWire.indices {
            if let given = onTheWire[index].segment.giveUp(id) { return given }
        }
        for index in unsettled.indices {
            if let given = unsettled[index].segment.giveUp(id) { return given }
        }
        return nil
    }

    /// Those that have rested are tried again, behind the others.
    mutating func endRests(at now: ContinuousClock.Instant) {
        for lane in rests.keys.sorted() where rests[lane]?.until.map({ $0 <= now }) ?? false {
            rests[lane]?.end()
            if !lanes[lane].isBusy { ready.append(lane) }
        }
    }

    func laneNumber(of stream: StreamName) -> Int? { laneNumbers[stream] }

    private mutating func lane(of stream: StreamName) -> Int {
        if let lane = laneNumbers[stream] { return lane }
        if vacant.isEmpty, lanes.count >= laneLimit { forgetIdleLanes() }
        let lane = vacant.popLast() ?? lanes.count
        if lane == lanes.count { lanes.append(Lane()) }
        laneNumbers[stream] = lane
        return lane
    }

    private mutating func forgetIdleLanes() {
        laneNumbers = laneNumbers.filter { lanes[$1].isBusy || !lanes[$1].waiting.isEmpty }
        let kept = Set(laneNumbers.values)
        vacant = lanes.indices.filter { !kept.contains($0) }
        for lane in vacant { lanes[lane] = Lane() }
        laneLimit = max(laneLimit, 2 * kept.count)
    }

    // MARK: Out

    /// The segment to send now, of so many streams at most; nil when there is nothing to send or enough is on the wire.
    mutating func nextSegment(atMost runCount: Int = .max) -> Segment? {
        guard onTheWire.count < limits.segmentsUnderWay else { return nil }
        let runCount = min(runCount, limits.runs)
        guard let sent = takeUnsettled(lone: false) ?? takeInTurn(atMost: runCount) else { return nil }
        isTurnOfOthers = sent.isLone && !isTurnOfOthers
        onTheWire.append(sent)
        return sent.segment
    }

    /// Those that go alone take turns with the others, and of them those that are to be sent again with those that are new.
    private mutating func takeInTurn(atMost runCount: Int) -> Sent? {
        guard onTheWire.count(where: \.isLone) < limits.alone else { return cut(atMost: runCount, takesLone: false) }
        return isTurnOfOthers
            ? cut(atMost: runCount, takesLone: false) ?? cut(atMost: runCount, takesLone: true)
                ?? takeUnsettled(lone: true)
            : takeUnsettled(lone: true) ?? cut(atMost: runCount, takesLone: true)
    }

    private mutating func takeUnsettled(lone isLone: Bool) -> Sent? {
        unsettled.firstIndex { $0.isLone == isLone && !isResting($0) }.map { unsettled.remove(at: $0) }
    }

    /// How long the segment may wait for its stream's lock; nil: as long as any. Where it has to be given up soon, less than
    /// until then: an append that was refused is not written, of one that still waits there that is not known.
    func lockPatience(of sent: Sent, at now: ContinuousClock.Instant) -> Duration? {
        guard sent.isLone, let lane = sent.segment.runs.first?.lane else { return nil }
        let patience = rests[lane]?.lockPatience ?? Rest.leastPatience
        guard let deadline = sent.segment.firstDeadline else { return patience }
        return max(.milliseconds(1), min(patience, deadline - now - Rest.leastPatience))
    }

    private mutating func cut(atMost runCount: Int, takesLone: Bool) -> Sent? {
        guard !ready.isEmpty else { return nil }
        var runs: [Segment.Run] = []
        var room = SegmentRoom(bytes: limits.bytes, events: limits.events)
        // Whose first append goes alone, and not with this segment.
        var held: [Int] = []
        var isLone = false
        while let lane = ready.first, runs.count < runCount {
            guard let first = lanes[lane].waiting.first else { break }
            // Of a stream that has been held since, whatever of it comes next.
            let goesAlone = first.goesAlone || rests[lane] != nil
            guard !goesAlone || (runs.isEmpty && takesLone) else {
                held.append(ready.removeFirst())
                continue
            }
            guard runs.isEmpty || room.takes(first) else { break }
            ready.removeFirst()
            runs.append(cutRun(of: lane, token: nextToken(), isAlone: goesAlone, &room))
            if goesAlone {
                isLone = true
                break
            }
        }
        ready.prepend(contentsOf: held)
        guard !runs.isEmpty else { return nil }
        // One order of locks for every process, or two of them might wait for each other.
        if runs.count > 1 { runs.sort { $0.stream.precedes($1.stream) } }
        return Sent(segment: segment(runs), isRepeated: false, isLone: isLone)
    }

    /// Takes the lane's first append, and those behind it that can share its run, unless it goes alone.
    private mutating func cutRun(
        of lane: Int,
        token: Token,
        isAlone: Bool,
        _ room: inout SegmentRoom
    ) -> Segment.Run {
        let first = lanes[lane].waiting.removeFirst()
        waitingCount -= 1
        room.take(first)
        var run = Segment.Run(
            stream: first.stream,
            lane: lane,
            epoch: first.epoch,
            position: first.expecting ?? lanes[lane].nextPosition,
            isExact: first.expecting != nil,
            token: token,
            appends: [first],
            predecessor: predecessor(of: lane, for: first)
        )
        var eventCount = first.events.count
        while !isAlone, let next = lanes[lane].waiting.first,
            run.accepts(next, after: eventCount), room.takes(next)
        {
            lanes[lane].waiting.removeFirst()
            waitingCount -= 1
            room.take(next)
            eventCount += next.events.count
            run.appends.append(next)
        }
        lanes[lane].isBusy = true
        return run
    }

    private mutating func predecessor(of lane: Int, for append: Append) -> Segment.Predecessor? {
        if lanes[lane].unchained > 0 {
            lanes[lane].unchained -= 1
            return nil
        }
        guard let end = lanes[lane].end, end.epoch == append.epoch,
            append.expecting == nil || append.expecting == lanes[lane].nextPosition
        else { return nil }
        return Segment.Predecessor(streamID: end.streamID, token: end.token)
    }

    /// One of a family of 65,536, of which each is as random as one alone: randomness is a system call.
    private mutating func nextToken() -> Token {
        if tokenNumber & 0xFFFF == 0 { tokenFamily = Token.random(using: &random) }
        tokenNumber += 1
        return tokenFamily.numbered(tokenNumber)
    }

    mutating func segment(_ runs: [Segment.Run]) -> Segment {
        segmentCount += 1
        return Segment(id: segmentCount, runs: runs)
    }
}
