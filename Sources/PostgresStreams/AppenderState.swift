import LibPQ

/// What an appender knows under its lock: the queue, and what each connection is doing. It decides and collects what is to
/// be done outside the lock (`Effects`); it does no IO itself.
struct AppenderState {
    /// A connection as the queue's state sees it.
    struct Line {
        var session: Session?
        /// The session has the settings that a chained append needs.
        var isPrepared = false
        var isStarted = false
        /// The segments on its wire, in the order they were sent. The server works on the first.
        var underWay: [UnderWay] = []
        /// How many there may be. With a second one, if it is worth it, the server has something to do while the answer to
        /// the first is on its way and those who were answered append again.
        var depth = 1
        /// The server is out of something, or somebody holds a lock: nothing is sent before.
        var pausedUntil: ContinuousClock.Instant?
        var pause = BackOff()
        /// By when the tails are to be told, if no segment takes it along.
        var announceBy: ContinuousClock.Instant?

        var isOpen: Bool { session != nil && pausedUntil == nil }

        /// It takes nothing now, and nobody knows for how long.
        func isStuck(at now: ContinuousClock.Instant) -> Bool {
            session == nil || pausedUntil != nil
                || underWay.first.map { $0.sentAt + AppenderState.patience < now } ?? false
        }
    }

    struct UnderWay {
        var segmentID: Int
        var runCount: Int
        /// It may wait for a lock: nothing goes behind it.
        var isLone: Bool
        var sentAt: ContinuousClock.Instant
        /// How many segments were on the wire then, itself included.
        var sharedBy: Int
    }

    /// Segments on the wire of a connection that is ours alone.
    static let depth = 2
    /// Longer than a commit takes, of a standby's too, unless something is in its way.
    fileprivate static let patience = Duration.milliseconds(20)
    /// So long without an answer to what is overdue: the connection is not what it seems, and another may settle it.
    private static let silence = Duration.seconds(10)

    /// A segment that a connection has been given, to be put on its wire outside the lock.
    struct Departure {
        var line: Int
        var session: Session
        var segment: Segment
        var isPrepared: Bool
    }

    /// What was decided under the lock, to be done outside it: first the wire, then the callers.
    struct Effects {
        fileprivate(set) var departures: [Departure] = []
        fileprivate(set) var told: [(Append.Caller, AppendResult)] = []
        fileprivate(set) var flushed: [CheckedContinuation<Void, Never>] = []
        /// Connections that are to be made: there is more to send than the others can take.
        fileprivate(set) var starting: [Int] = []
        /// Connections whose timer is to be set.
        fileprivate(set) var timers: [Int] = []
    }

    var queue: AppendQueue
    var pace = Pace()
    private var spread = Spread()
    var gathering = Gathering()
    var lastID = 0
    var lines: [Line]
    var isClosed = false
    var lastError: JournalError?
    private var flushers = Flushers()
    /// When the first append's deadline is looked at. Not set anew at each append, only when it has rung.
    private(set) var deadlineTimer: ContinuousClock.Instant?
    /// When it is looked whether connections are stuck, and another is needed.
    private var lookAgainAt: ContinuousClock.Instant?
    private var effects = Effects()

    /// Of so many streams a segment is worth a commit of its own behind another: a transaction and its flush cost the server
    /// about as much as 50 events in one do. With fewer, those who wait go with those who are being answered.
    private static let leastShare = 24

    init(queue: AppendQueue, lineCount: Int) {
        self.queue = queue
        lines = Array(repeating: Line(), count: lineCount)
    }

    mutating func takeEffects() -> Effects {
        defer { effects = Effects() }
        return effects
    }

    // MARK: Sending

    mutating func accept(_ entries: [AppendInbox.Entry]) {
        var accepted: [Append] = []
        accepted.reserveCapacity(entries.count)
        for entry in entries {
            guard !isClosed else {
                tell(entry.append.caller, .failure(.closedUnsent))
                continue
            }
            lastID += 1
            guard entry.ticket.accept(lastID) else {
                tell(entry.append.caller, .failure(.cancelledUnsent))
                continue
            }
            accepted.append(entry.append)
            accepted[accepted.count - 1].id = lastID
        }
        add(accepted)
    }

    /// Takes appends, and sends them on their way, together, unless others are waited for.
    mutating func add(_ appends: [Append]) {
        guard let first = appends.first else { return }
        for append in appends { queue.add(append) }
        if deadlineTimer == nil { setDeadlineTimer(at: first.deadline) }
        let isHeldUp = gathering.isActive
        for line in gathering.added(appends.count, at: .now) { departOrLet(line) }
        if !isHeldUp { departWherePossible() }
    }

    /// It is this connection's turn. What it leaves, since it takes its share only, or is not needed any more as those
    /// before it answer again, must not wait for it.
    mutating func departOrLet(_ line: Int) {
        depart(line)
        if !gathering.isActive { departWherePossible() }
    }

    /// Gives this connection what there is to send, if it can take it: no more than its share of all there is, so that
    /// the others, and the segment behind this one, find something to do, where a share is worth it.
    @discardableResult
    private mutating func depart(_ line: Int) -> Bool {
        guard isFree(line), isWorthIt(line), let session = lines[line].session else { return false }
        let now = ContinuousClock.now
        guard isNeeded(line, at: now) else { return false }
        let places = lines.indices.reduce(0) { $0 + (lines[$1].isOpen && isNeeded($1, at: now) ? depth(of: $1) : 0) }
        let count = queue.count
        let shares = min(places, max(1, count / Self.leastShare))
        guard let segment = queue.nextSegment(atMost: (count + shares - 1) / shares) else { return false }
        lines[line].underWay.append(
            UnderWay(
                segmentID: segment.id,
                runCount: segment.runs.count,
                isLone: queue.onTheWire.last?.isLone ?? false,
                sentAt: now,
                sharedBy: lines[line].underWay.count + 1
            )
        )
        effects.departures.append(
            Departure(
                line: line,
                session: session,
                segment: segment,
                isPrepared: lines[line].isPrepared
            )
        )
        return true
    }

    private func depth(of line: Int) -> Int { pace.isSlow ? 1 : lines[line].depth }

    private func isFree(_ line: Int) -> Bool { lines[line].underWay.count < depth(of: line) && lines[line].isOpen }

    /// Whether what there is should go behind what is on this connection's wire. A small one would keep a commit to itself,
    /// and its writers, answered apart from the others, would come back apart; it waits for the answer, as do the writers
    /// who come back then.
    private func isWorthIt(_ line: Int) -> Bool {
        guard lines[line].underWay.last?.isLone != true else { return false }
        guard let ahead = lines[line].underWay.last, !queue.hasUnsettled, !pace.isFar else { return true }
        return queue.ready.count >= max(Self.leastShare, ahead.runCount * 3 / 4)
    }

    /// Whether a segment goes over this connection. One connection with segments of many streams is faster than two with
    /// smaller ones, unless commits are slow and can wait side by side; another is for more than a segment can hold, too, or
    /// for when those before it do not answer: they may wait for a lock that somebody holds.
    private func isNeeded(_ line: Int, at now: ContinuousClock.Instant) -> Bool {
        if spread.isWide || queue.hasMoreThanASegment { return true }
        // By index, here and below: a line is too large to be copied for every append.
        return (0..<line).allSatisfy { lines[$0].isStuck(at: now) }
    }

    /// The first connection that is free and needed takes its share, then the next, while there is something that is worth
    /// it. Where there is none, another one is made, now or when the others turn out to be stuck.
    private mutating func departWherePossible() {
        guard queue.hasReady else { return }
        let now = ContinuousClock.now
        while let line = lines.indices.first(where: { isFree($0) && isWorthIt($0) && isNeeded($0, at: now) }) {
            guard depart(line), queue.hasReady else { return }
        }
        let isConnecting = lines.indices.contains { lines[$0].isStarted && lines[$0].session == nil }
        guard let line = lines.indices.first(where: { isFree($0) || (!isConnecting && !lines[$0].isStarted) }) else {
            return
        }
        if !lines[line].isStarted, isNeeded(line, at: now) {
            lines[line].isStarted = true
            effects.starting.append(line)
        } else if lookAgainAt == nil {
            lookAgainAt = now + Self.patience
            effects.timers.append(0)
        }
    }

    /// When connections may have turned out to be stuck.
    mutating func lookAgain(at now: ContinuousClock.Instant) {
        guard let time = lookAgainAt, time <= now else { return }
        lookAgainAt = nil
        departWherePossible()
    }

    /// Streams that somebody held may be free.
    mutating func endRests(at now: ContinuousClock.Instant) {
        guard let time = queue.firstRestEnd, time <= now else { return }
        queue.endRests(at: now)
        departWherePossible()
    }

    /// The segment is answered, or lost: its place on the wire is free. Nil where it had none any more.
    mutating func takeOffTheWire(_ segmentID: Int, of line: Int) -> UnderWay? {
        guard let index = lines[line].underWay.firstIndex(where: { $0.segmentID == segmentID }) else { return nil }
        return lines[line].underWay.remove(at: index)
    }

    /// After the answer to `segment`: the next one leaves, or waits a moment for those who are about to be told.
    mutating func goOn(_ line: Int, after segment: UnderWay?, at now: ContinuousClock.Instant) {
        if gathering.end(of: line) != nil {
            // Those who were answered before have had their moment.
            gathering.stop(line)
            departOrLet(line)
        }
        if isFree(line), let segment {
            pace.answered(after: now - segment.sentAt, sharedBy: segment.sharedBy)
            observeSpread(segment, at: now)
            // Where the way is far they need not go together.
            let others = pace.isFar ? 0 : queue.ready.count
            if gathering.answered(effects.told.count, before: others, on: line, roundTrip: pace.roundTrip, at: now) {
                return setTimer(of: line)
            }
        }
        departOrLet(line)
    }

    private mutating func observeSpread(_ segment: UnderWay, at now: ContinuousClock.Instant) {
        guard pace.isSlow, lines.count > 1 else {
            spread = Spread()
            return
        }
        spread.answered(
            effects.told.count,
            sinceSending: lines.lazy.compactMap(\.underWay.first?.sentAt).reduce(segment.sentAt, min),
            pause: pace.roundTrip / 2,
            areAllOpen: lines.allSatisfy(\.isOpen),
            at: now
        )
        guard spread.isWide else { return }
        for line in lines.indices where !lines[line].isStarted {
            lines[line].isStarted = true
            effects.starting.append(line)
        }
    }

    /// Whether nothing is on its wire and nothing is about to be.
    func isIdle(_ line: Int) -> Bool { lines[line].underWay.isEmpty && gathering.end(of: line) == nil }

    mutating func pause(_ line: Int) {
        lines[line].pause.failed()
        lines[line].pausedUntil = .now + lines[line].pause.delay
        setTimer(of: line)
    }

    // MARK: Answers

    /// - Parameter caller: nil where nobody waits any more.
    mutating func tell(_ caller: Append.Caller?, _ result: AppendResult) {
        if let caller { effects.told.append((caller, result)) }
    }

    mutating func resolve(_ resolutions: [AppendQueue.Resolution]) {
        for resolution in resolutions {
            tell(resolution.append.caller, resolution.result)
            count(resolution.append.id)
        }
    }

    /// `done` when everything accepted so far has been answered.
    mutating func flush(_ done: CheckedContinuation<Void, Never>) {
        let remaining = queue.count
        if remaining == 0 {
            effects.flushed.append(done)
        } else {
            flushers.wait(for: remaining, upTo: lastID, done)
        }
    }

    /// One append less to wait for.
    mutating func count(_ id: Int) {
        effects.flushed += flushers.through(id)
    }

    // MARK: Time

    mutating func setTimer(of line: Int) { effects.timers.append(line) }

    /// Connections to be ended: what is on their wire is over, or partly so, and has been there for long.
    mutating func abandon(_ expired: AppendQueue.Expired, at now: ContinuousClock.Instant) -> [Int] {
        let over = Set(expired.abandoned.map(\.id))
        let overdue = Set(expired.overdue)
        return lines.indices.filter { line in
            let isOver = lines[line].underWay.contains {
                over.contains($0.segmentID) || (overdue.contains($0.segmentID) && $0.sentAt + Self.silence <= now)
            }
            guard isOver else { return false }
            lines[line].session = nil
            lines[line].underWay.removeAll { over.contains($0.segmentID) }
            return true
        }
    }

    /// Every connection looks after the deadlines: any of them may be the one there is.
    mutating func setDeadlineTimer(at time: ContinuousClock.Instant?) {
        deadlineTimer = time
        effects.timers += lines.indices
    }

    /// Every connection looks after the rests, for the same reason.
    mutating func setRestTimers() {
        if queue.firstRestEnd != nil { effects.timers += lines.indices }
    }

    mutating func announce(by time: ContinuousClock.Instant, on line: Int) {
        guard lines[line].announceBy == nil else { return }
        lines[line].announceBy = time
        setTimer(of: line)
    }

    mutating func isAnnouncingDue(on line: Int, at now: ContinuousClock.Instant) -> Bool {
        guard let time = lines[line].announceBy, time <= now else { return false }
        lines[line].announceBy = nil
        return true
    }

    /// When something is to be done on this connection's thread: deadlines, its pause, its gathering, its announcing.
    func nextTime(of line: Int) -> ContinuousClock.Instant? {
        var time = Earliest()
        time.consider(lines[line].pausedUntil)
        time.consider(gathering.end(of: line))
        time.consider(lines[line].announceBy)
        if line == 0 { time.consider(lookAgainAt) }
        time.consider(queue.firstRestEnd)
        time.consider(deadlineTimer)
        return time.time
    }
}

extension JournalError {
    static var cancelledUnsent: JournalError {
        JournalError(.cancelled, outcome: .notWritten, "the task was cancelled")
    }
}
