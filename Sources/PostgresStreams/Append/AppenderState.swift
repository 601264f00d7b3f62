import LibPQ

/// What an appender knows under its lock: the queue, and what each connection is doing. It decides and collects what is to
/// be done outside the lock (`Effects`); it does no IO itself.
struct AppenderState {
    /// A connection as the queue's state sees it.
    struct Wire {
        var session: Session?
        /// The server's process behind it; nil behind a pooler, which has many.
        var backendPID: Int?
        /// Which server it is to (`Greeting.serverStart`).
        var serverStart: Int64?
        /// It is being looked whether the server is at what is on it.
        var isLookedAfter = false
        /// When that is looked at again: the server was at it the last time, or nobody could tell.
        var doubtedFrom: ContinuousClock.Instant?
        /// The session has the settings that a chained append needs.
        var isPrepared = false
        var isStarted = false
        /// The segments on it, in the order they were sent. The server works on the first.
        var underWay: [UnderWay] = []
        /// When something was last answered over it.
        var answeredAt: ContinuousClock.Instant?
        /// The server is out of something, or somebody holds a lock: nothing is sent before.
        var pausedUntil: ContinuousClock.Instant?
        var pause = BackOff()
        /// By when the tails are to be told, if no segment takes it along.
        var announceBy: ContinuousClock.Instant?

        var isOpen: Bool { session != nil && pausedUntil == nil }

        var isBehindPooler: Bool { backendPID == nil }

        /// What is on it, in bytes of events.
        var byteCount: Int { underWay.reduce(0) { $0 + $1.byteCount } }

        /// Since when an answer has been waited for.
        var silentSince: ContinuousClock.Instant? { underWay.first.map(silentSince) }

        /// Since when nothing came that this one may wait for.
        func silentSince(_ segment: UnderWay) -> ContinuousClock.Instant {
            answeredAt.map { max($0, segment.sentAt) } ?? segment.sentAt
        }
    }

    struct UnderWay {
        var segmentID: Int
        var runCount: Int
        /// It may wait for a lock: nothing goes behind it.
        var isLone: Bool
        var sentAt: ContinuousClock.Instant
        var byteCount: Int
        /// It was sent before. A way that is only slow must not lose it again and again.
        var isRepeated = false
    }

    /// Longer than a commit takes, of a standby's too, unless something is in its way.
    static let patience = Duration.milliseconds(20)
    /// So long without an answer to what is overdue: the connection is not what it seems, and another may settle it.
    private static let silence = Link.longestSilence

    /// A segment that a connection has been given, to be put on its wire outside the lock.
    struct Departure {
        /// Another for each, of the same segment too.
        var number: Int
        var wire: Int
        var session: Session
        var segment: Segment
        var isPrepared: Bool
        /// Then the tails are told over another connection: nothing goes behind what is not answered.
        var isBehindPooler: Bool
        /// Which server it goes to.
        var serverStart: Int64?
        /// How long it may wait for its stream's lock, where that is less than any may.
        var lockPatience: Duration?
    }

    /// What was decided under the lock, to be done outside it: first the wire, then the callers.
    struct Effects {
        fileprivate(set) var departures: [Departure] = []
        fileprivate(set) var told: [(Append.Caller, AppendResult)] = []
        fileprivate(set) var flushed: [CheckedContinuation<Void, Never>] = []
        /// Connections that are to be made: there is more to send than the others can take.
        fileprivate(set) var starting: [Int] = []
        /// Connections whose timer is to be set.
        var timers: [Int] = []
    }

    var queue: AppendQueue
    var pace = Pace()
    private(set) var spread = Spread()
    var gathering = Gathering()
    var lastID = 0
    private var departureCount = 0
    var wires: [Wire]
    /// The last connection that was made is to a pooler.
    var isBehindPooler = false
    var isClosed = false
    var lastError: JournalError?
    private var flushers = Flushers()
    /// When the first append's deadline is looked at. Not set anew at each append, only when it has rung.
    private(set) var deadlineTimer: ContinuousClock.Instant?
    /// So long without an answer, and another connection is asked what the server is at.
    let trust: Duration
    /// When that is looked at. Not set anew at each departure, only when it has rung.
    var doubtTimer: ContinuousClock.Instant?
    /// When it is looked whether connections are stuck, and another is needed.
    private var lookAgainAt: ContinuousClock.Instant?
    var effects = Effects()

    /// Of so many streams a segment is worth a commit of its own behind another: a transaction and its flush cost the server
    /// about as much as 50 events in one do. With fewer, those who wait go with those who are being answered.
    static let leastShare = 24

    /// - Parameter deadline: how long callers wait: a third of it may go by in silence, at most.
    init(queue: AppendQueue, wireCount: Int, deadline: Duration = .seconds(30)) {
        self.queue = queue
        trust = min(Self.silence, deadline / 3)
        wires = Array(repeating: Wire(), count: wireCount)
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
        for wire in gathering.added(appends.count, at: .now) { departOrLet(wire) }
        if !isHeldUp { departWherePossible() }
    }

    /// It is this connection's turn. What it leaves, since it takes its share only, or is not needed any more as those
    /// before it answer again, must not wait for it.
    mutating func departOrLet(_ wire: Int) {
        depart(wire)
        if !gathering.isActive { departWherePossible() }
    }

    /// Gives this connection what there is to send, if it can take it: no more than its share of all there is, so that
    /// the others, and the segment behind this one, find something to do, where a share is worth it.
    @discardableResult
    private mutating func depart(_ wire: Int) -> Bool {
        guard isFree(wire), let session = wires[wire].session else { return false }
        let now = ContinuousClock.now
        guard isWorthIt(wire, at: now), isNeeded(wire, at: now) else { return false }
        var places = 0
        for wire in wires.indices where wires[wire].isOpen && isNeeded(wire, at: now) { places += depth(of: wire) }
        let count = queue.count
        let shares = min(places, max(1, count / Self.leastShare))
        guard let segment = queue.nextSegment(atMost: (count + shares - 1) / shares), let sent = queue.onTheWire.last
        else { return false }
        wires[wire].underWay.append(
            UnderWay(
                segmentID: segment.id,
                runCount: segment.runs.count,
                isLone: sent.isLone,
                sentAt: now,
                byteCount: segment.byteCount,
                isRepeated: sent.isRepeated
            )
        )
        if doubtTimer == nil {
            doubtTimer = now + trust
            effects.timers += wires.indices
        }
        departureCount += 1
        effects.departures.append(
            Departure(
                number: departureCount,
                wire: wire,
                session: session,
                segment: segment,
                isPrepared: wires[wire].isPrepared,
                isBehindPooler: wires[wire].isBehindPooler,
                serverStart: wires[wire].serverStart,
                lockPatience: queue.lockPatience(of: sent, at: now)
            )
        )
        return true
    }

    /// The first connection that is free and needed takes its share, then the next, while there is something that is worth
    /// it. Where there is none, another one is made, now or when the others turn out to be stuck.
    private mutating func departWherePossible() {
        guard queue.hasReady else { return }
        let now = ContinuousClock.now
        for wire in wires.indices {
            while isFree(wire), isWorthIt(wire, at: now), isNeeded(wire, at: now) {
                guard depart(wire), queue.hasReady else { return }
            }
        }
        guard let wire = nextWire(at: now) else { return }
        if !wires[wire].isStarted, isNeeded(wire, at: now) {
            wires[wire].isStarted = true
            effects.starting.append(wire)
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
    mutating func takeOffTheWire(_ segmentID: Int, of wire: Int) -> UnderWay? {
        guard let index = wires[wire].underWay.firstIndex(where: { $0.segmentID == segmentID }) else { return nil }
        return wires[wire].underWay.remove(at: index)
    }

    /// After the answer to `segment`: the next one leaves, or waits a moment for those who are about to be told.
    mutating func goOn(_ wire: Int, after segment: UnderWay?, at now: ContinuousClock.Instant) {
        let before = wires[wire].answeredAt
        wires[wire].answeredAt = now
        if gathering.end(of: wire) != nil {
            // Those who were answered before have had their moment.
            gathering.stop(wire)
            departOrLet(wire)
        }
        if wires[wire].isOpen, let segment, !segment.isLone {
            pace.answered(sentAt: segment.sentAt, after: before, at: now)
            observeSpread(segment, at: now)
            let count = effects.told.count
            let others = pace.isFar ? 0 : queue.ready.count
            if isFree(wire), isGathering,
                gathering.answered(count, before: others, on: wire, roundTrip: pace.roundTrip, at: now)
            {
                return setTimer(of: wire)
            }
        }
        departOrLet(wire)
    }

    /// Whether those who are answered are waited for. Where the way is far, not while they are few: the server has nothing
    /// else to do than a commit for each of them.
    var isGathering: Bool { !pace.isFar || queue.count + effects.told.count >= Self.leastShare * 2 }

    private mutating func observeSpread(_ segment: UnderWay, at now: ContinuousClock.Instant) {
        guard pace.isSlow, wires.count > 1 else {
            spread = Spread()
            return
        }
        spread.answered(
            effects.told.count,
            sinceSending: wires.lazy.compactMap { $0.underWay.first?.sentAt }.reduce(segment.sentAt, min),
            pause: pace.roundTrip / 2,
            areAllOpen: wires.allSatisfy(\.isOpen),
            at: now
        )
        guard spread.isWide else { return }
        for wire in wires.indices where !wires[wire].isStarted {
            wires[wire].isStarted = true
            effects.starting.append(wire)
        }
    }

    /// Whether nothing is on its wire and nothing is about to be.
    func isIdle(_ wire: Int) -> Bool { wires[wire].underWay.isEmpty && gathering.end(of: wire) == nil }

    mutating func pause(_ wire: Int) {
        wires[wire].pause.failed()
        wires[wire].pausedUntil = .now + wires[wire].pause.delay
        setTimer(of: wire)
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

    mutating func setTimer(of wire: Int) { effects.timers.append(wire) }

    /// Tells those whose deadlines are over.
    ///
    /// - Parameter reason: where nothing more is known.
    /// - Returns: connections to be ended: what is on their wire is over, or partly so, and has been there for long.
    mutating func expire(
        at now: ContinuousClock.Instant,
        because reason: JournalError
    ) -> [(wire: Int, session: Session)] {
        guard let timer = deadlineTimer, timer <= now else { return [] }
        let expired = queue.expire(at: now, because: lastError ?? reason)
        resolve(expired.resolutions)
        for given in expired.givenUp { tell(given.append.caller, given.result) }
        let over = Set(expired.abandoned.map(\.id))
        let overdue = Set(expired.overdue)
        var next = Earliest()
        next.consider(queue.firstDeadline)
        var ended: [Int] = []
        for wire in wires.indices where wires[wire].session != nil {
            for segment in wires[wire].underWay where overdue.contains(segment.segmentID) {
                let end = wires[wire].silentSince(segment) + Self.silence
                if end <= now { ended.append(wire) } else { next.consider(end) }
            }
            if wires[wire].underWay.contains(where: { over.contains($0.segmentID) }) { ended.append(wire) }
        }
        for wire in wires.indices { wires[wire].underWay.removeAll { over.contains($0.segmentID) } }
        setDeadlineTimer(at: next.time)
        return Set(ended).sorted().compactMap { wire in
            defer { wires[wire].session = nil }
            return wires[wire].session.map { (wire, $0) }
        }
    }

    /// Every connection looks after the deadlines: any of them may be the one there is.
    mutating func setDeadlineTimer(at time: ContinuousClock.Instant?) {
        deadlineTimer = time
        effects.timers += wires.indices
    }

    /// Every connection looks after the rests, for the same reason.
    mutating func setRestTimers() {
        if queue.firstRestEnd != nil { effects.timers += wires.indices }
    }

    mutating func announce(by time: ContinuousClock.Instant, on wire: Int) {
        guard wires[wire].announceBy == nil else { return }
        wires[wire].announceBy = time
        setTimer(of: wire)
    }

    mutating func isAnnouncingDue(on wire: Int, at now: ContinuousClock.Instant) -> Bool {
        guard let time = wires[wire].announceBy, time <= now else { return false }
        wires[wire].announceBy = nil
        return true
    }

    /// When something is to be done on this connection's thread: deadlines, its pause, its gathering, its announcing.
    func nextTime(of wire: Int) -> ContinuousClock.Instant? {
        var time = Earliest()
        time.consider(wires[wire].pausedUntil)
        time.consider(gathering.end(of: wire))
        time.consider(wires[wire].announceBy)
        if wire == 0 { time.consider(lookAgainAt) }
        time.consider(queue.firstRestEnd)
        time.consider(deadlineTimer)
        time.consider(doubtTimer)
        return time.time
    }
}
