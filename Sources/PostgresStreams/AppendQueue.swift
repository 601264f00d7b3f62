import DequeModule
import LibPQ

/// Which appends wait, which are on the wire, and what an answer means for each. No IO, no clock, no threads.
///
/// At most one segment is on the wire; what comes meanwhile becomes the next. A segment whose connection was lost stays
/// and is sent again as it was, tokens and positions included, until the server answers it: only so does the server know
/// it again. Appends to one stream keep their order: where one cannot go with a segment, later ones to the same stream
/// wait too.
struct AppendQueue {
    struct Limits {
        var bytes: Int
        /// Streams in one transaction: each holds a row lock until the commit.
        var runs = 512
        var events = 8192
    }

    /// What becomes of an append.
    struct Resolution {
        var id: Int
        var result: Result<Int, JournalError>
    }

    private enum InFlight {
        case none
        /// `again`: an earlier sending was lost and may have been written, so that no refusal of this one says it was not.
        case onTheWire(Segment, again: Bool)
    }

    private let limits: Limits
    private var waiting: Deque<Append> = []
    private var inFlight = InFlight.none
    /// Sent, and not known to be written or not: the connection was lost. They go first, each as it was.
    private var unsettled: Deque<Segment> = []
    /// Where a stream's next event goes, as far as we know. Only a hint: wrong costs a round trip, no more.
    private var nextPositions: [StreamName: Int] = [:]
    private var segmentCount = 0
    private var random: any RandomNumberGenerator & Sendable

    init(limits: Limits, random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()) {
        self.limits = limits
        self.random = random
    }

    var isEmpty: Bool { if case .none = inFlight { waiting.isEmpty && unsettled.isEmpty } else { false } }

    /// What was sent and is not answered.
    private var sent: [Segment] {
        switch inFlight {
        case .none: Array(unsettled)
        case .onTheWire(let segment, again: _): [segment] + unsettled
        }
    }

    /// When the first of all appends here has to be given up.
    var firstDeadline: ContinuousClock.Instant? {
        var first = waiting.map(\.deadline).min()
        for segment in sent {
            for run in segment.runs {
                for append in run.appends { first = min(first ?? append.deadline, append.deadline) }
            }
        }
        return first
    }

    // MARK: In

    mutating func add(_ append: Append) { waiting.append(append) }

    /// Takes back an append that was not sent; false where it was.
    mutating func withdraw(_ id: Int) -> Bool {
        guard let index = waiting.firstIndex(where: { $0.id == id }) else { return false }
        waiting.remove(at: index)
        return true
    }

    /// What `Journal.resolve` needs to find an append that is on the wire.
    func receipt(of id: Int) -> AppendReceipt? {
        for segment in sent {
            for run in segment.runs {
                var offset = 0
                for append in run.appends {
                    if append.id == id { return run.receipt(offset: offset) }
                    offset += append.events.count
                }
            }
        }
        return nil
    }

    // MARK: Out

    /// The segment to send now; nil when there is nothing to send or one is on the wire.
    mutating func nextSegment() -> Segment? {
        guard case .none = inFlight else { return nil }
        if let segment = unsettled.popFirst() {
            inFlight = .onTheWire(segment, again: true)
            return segment
        }
        guard let segment = cutSegment() else { return nil }
        inFlight = .onTheWire(segment, again: false)
        return segment
    }

    private mutating func cutSegment() -> Segment? {
        guard let first = waiting.first else { return nil }
        if first.goesAlone {
            waiting.removeFirst()
            return segment([run(for: first)])
        }
        var runs: [Segment.Run] = []
        var indices: [StreamName: Int] = [:]
        var held: Set<StreamName> = []
        var skipped: [Append] = []
        var bytes = 0
        var events = 0
        while let append = waiting.first, !append.goesAlone, events < limits.events {
            guard runs.isEmpty || bytes + append.byteCount <= limits.bytes else { break }
            waiting.removeFirst()
            if held.contains(append.stream) {
                skipped.append(append)
                continue
            }
            if let index = indices[append.stream] {
                guard runs[index].accepts(append) else {
                    held.insert(append.stream)
                    skipped.append(append)
                    continue
                }
                runs[index].appends.append(append)
            } else {
                guard runs.count < limits.runs else {
                    held.insert(append.stream)
                    skipped.append(append)
                    continue
                }
                indices[append.stream] = runs.count
                runs.append(run(for: append))
            }
            bytes += append.byteCount
            events += append.events.count
        }
        waiting.prepend(contentsOf: skipped)
        // One order of locks for every process, or two of them might wait for each other.
        runs.sort { $0.stream.text.utf8.lexicographicallyPrecedes($1.stream.text.utf8) }
        return segment(runs)
    }

    private mutating func segment(_ runs: [Segment.Run]) -> Segment {
        segmentCount += 1
        return Segment(id: segmentCount, runs: runs)
    }

    private mutating func run(for append: Append) -> Segment.Run {
        Segment.Run(
            stream: append.stream,
            epoch: append.epoch,
            position: append.expecting ?? nextPositions[append.stream] ?? 0,
            isExact: append.expecting != nil,
            token: .random(using: &random),
            appends: [append]
        )
    }

    // MARK: What became of it

    /// The segment on the wire, if it is this one and was not given up meanwhile.
    private func onTheWire(_ id: Int) -> (segment: Segment, again: Bool)? {
        guard case .onTheWire(let segment, let again) = inFlight, segment.id == id else { return nil }
        return (segment, again)
    }

    /// The server committed, and answered each run of the segment.
    mutating func answered(_ id: Int, _ answers: [Segment.Answer]) -> [Resolution] {
        guard let (segment, _) = onTheWire(id) else { return [] }
        inFlight = .none
        var resolutions: [Resolution] = []
        var again: [Append] = []
        for (run, answer) in zip(segment.runs, answers) {
            switch answer.outcome {
            case .written: resolutions += written(run, at: answer.position ?? run.position)
            case .behind:
                remember(run.stream, next: answer.position ?? 0)
                again += run.appends
            case .conflict: conflict(run, actual: answer.position ?? 0, into: &resolutions, again: &again)
            case .fenced: resolutions += fenced(run, answer)
            }
        }
        waiting.prepend(contentsOf: again)
        return resolutions
    }

    private mutating func written(_ run: Segment.Run, at position: Int) -> [Resolution] {
        var next = position
        let resolutions = run.appends.map { append in
            defer { next += append.events.count }
            return Resolution(id: append.id, result: .success(next))
        }
        remember(run.stream, next: next)
        return resolutions
    }

    private mutating func conflict(
        _ run: Segment.Run,
        actual: Int,
        into resolutions: inout [Resolution],
        again: inout [Append]
    ) {
        remember(run.stream, next: actual)
        guard run.isExact else {
            // The stream ends before a position that it had told us: a failover or restore lost events.
            var error = JournalError(
                .logReplaced,
                outcome: .notWritten,
                "stream \(run.stream) ends at \(actual), though \(run.position) events had been acknowledged: "
                    + "the server lost the end of the log"
            )
            error.expectedPosition = run.position
            error.actualPosition = actual
            resolutions += run.appends.map { Resolution(id: $0.id, result: .failure(error)) }
            return
        }
        // Those behind the first had their own expectation, each of which the server answers.
        for (index, append) in run.appends.enumerated() {
            guard index == 0 else {
                again.append(append)
                continue
            }
            var error = JournalError(
                .conflict,
                outcome: .notWritten,
                "stream \(run.stream) is at position \(actual), the event was expected to land at \(run.position)"
            )
            error.expectedPosition = run.position
            error.actualPosition = actual
            resolutions.append(Resolution(id: append.id, result: .failure(error)))
        }
    }

    private func fenced(_ run: Segment.Run, _ answer: Segment.Answer) -> [Resolution] {
        let writer = run.epoch.map { "this writer's claim has epoch \($0)" } ?? "this writer has not claimed it"
        var error = JournalError(
            .fenced,
            outcome: answer.position == nil ? .notWritten : .written,
            "stream \(run.stream) is claimed at epoch \(answer.epoch), \(writer): claim it to write to it"
        )
        error.epoch = run.epoch
        error.currentEpoch = answer.epoch
        return run.appends.map { Resolution(id: $0.id, result: .failure(error)) }
    }

    /// The server rolled the segment back. What shared it is tried alone; what was alone is tried again or fails.
    mutating func refused(_ id: Int, _ refusal: ServerMessage) -> [Resolution] {
        guard let (segment, again) = onTheWire(id) else { return [] }
        inFlight = .none
        let passes = SQLState.isWorthRetrying(refusal.sqlState) || SQLState.needsReconnect(refusal.sqlState)
        if again { return refusedAgain(segment, refusal, passes: passes) }
        var appends = segment.runs.flatMap(\.appends)
        if passes {
            waiting.prepend(contentsOf: appends)
            return []
        }
        guard appends.count > 1 else {
            return appends.map {
                Resolution(id: $0.id, result: .failure(JournalError(refusal, outcome: .notWritten)))
            }
        }
        for index in appends.indices { appends[index].goesAlone = true }
        waiting.prepend(contentsOf: appends)
        return []
    }

    /// The server rolled this sending back, which says nothing of the one that was lost: under new tokens its events
    /// could be written twice. Its runs can part, each as it was; a run cannot.
    private mutating func refusedAgain(_ segment: Segment, _ refusal: ServerMessage, passes: Bool) -> [Resolution] {
        if passes {
            unsettled.prepend(segment)
            return []
        }
        guard segment.runs.count > 1 else {
            return abandon(segment, because: JournalError(refusal, outcome: .unknown))
        }
        let parts = segment.runs.map { self.segment([$0]) }
        unsettled.prepend(contentsOf: parts)
        return []
    }

    /// The connection was lost. What was on the wire is sent again as it was; `sent` false: it never left.
    mutating func connectionLost(_ id: Int, sent: Bool) {
        guard let (segment, again) = onTheWire(id) else { return }
        inFlight = .none
        if sent || again {
            unsettled.prepend(segment)
        } else {
            waiting.prepend(contentsOf: segment.runs.flatMap(\.appends))
        }
    }

    /// Gives up what is over its deadline: what was never sent is not written, what was sent may be.
    ///
    /// With it goes its whole segment, since that can only be sent again as it was. Returns whether the one on the wire
    /// went: its answer may come yet.
    mutating func expire(at now: ContinuousClock.Instant, because reason: JournalError) -> (
        resolutions: [Resolution], abandonedSegment: Bool
    ) {
        var resolutions: [Resolution] = []
        var abandonedSegment = false
        func isOver(_ segment: Segment) -> Bool {
            segment.runs.contains { $0.appends.contains { $0.deadline <= now } }
        }
        if case .onTheWire(let segment, again: _) = inFlight, isOver(segment) {
            resolutions += abandon(segment, because: reason)
            inFlight = .none
            abandonedSegment = true
        }
        for segment in unsettled where isOver(segment) { resolutions += abandon(segment, because: reason) }
        unsettled.removeAll(where: isOver)
        for append in waiting where append.deadline <= now {
            var error = reason
            error.outcome = .notWritten
            resolutions.append(Resolution(id: append.id, result: .failure(error)))
        }
        waiting.removeAll { $0.deadline <= now }
        return (resolutions, abandonedSegment)
    }

    /// Gives up everything.
    mutating func close(because reason: JournalError) -> [Resolution] {
        var resolutions = sent.flatMap { abandon($0, because: reason) }
        inFlight = .none
        unsettled = []
        for append in waiting {
            var error = reason
            error.outcome = .notWritten
            resolutions.append(Resolution(id: append.id, result: .failure(error)))
        }
        waiting = []
        return resolutions
    }

    private func abandon(_ segment: Segment, because reason: JournalError) -> [Resolution] {
        segment.runs.flatMap { run in
            var offset = 0
            return run.appends.map { append in
                var error = reason
                error.outcome = .unknown
                error.receipt = run.receipt(offset: offset)
                offset += append.events.count
                return Resolution(id: append.id, result: .failure(error))
            }
        }
    }

    private mutating func remember(_ stream: StreamName, next: Int) {
        // Forgetting costs a round trip for a stream that had gone quiet; remembering all would grow without bound.
        if nextPositions.count >= 100_000, nextPositions[stream] == nil { nextPositions.removeAll() }
        nextPositions[stream] = next
    }
}

extension Segment.Run {
    /// Whether this append can follow the run's last one.
    fileprivate func accepts(_ append: Append) -> Bool {
        guard append.epoch == epoch, !append.goesAlone else { return false }
        return isExact ? append.expecting == position + eventCount : append.expecting == nil
    }

    fileprivate func receipt(offset: Int) -> AppendReceipt {
        AppendReceipt(stream: stream, position: position, token: token, offset: offset)
    }
}
