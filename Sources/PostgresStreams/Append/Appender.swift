import LibPQ
import Synchronization
import TisynStreams

/// The connections that append, and the one queue of all appends of a journal.
///
/// Who appends puts the append into the inbox, from there into the queue and, where a connection is free, the segment onto
/// it, from their own thread; unless another thread is just at it, which then does it for them.
/// From then on each connection's thread goes from segment to segment:
///
///     answer of segment n ─► queue ─► send segment n + 1 (or gather) ─► tell the callers of n
///
/// Behind the commit, on the same connection, a NOTIFY wakes other processes' tails; behind a pooler once that is answered, on
/// another.
final class Appender: Sendable {
    private let inbox = AppendInbox()
    private let state: Mutex<AppenderState>
    private let links = Mutex<[Link]>([])
    private let statements: Statements
    private let inquiry: Inquiry
    /// By the connection of ours that is silent: each asks the server about one. Nil once they are closed.
    private let inquiries = Mutex<[Int: Requester]?>([:])
    private let announcer: Announcer
    /// This process's own: they have what is appended here from its answer.
    private let tails: TailHub
    /// Runs tasks on the first connection's thread.
    let taskExecutor = AppendExecutor()
    private let durability: JournalConfiguration.Durability
    private let deadline: Duration
    /// So many are answered together at most where the connection's thread stays awake for their next appends. With 8 it wins
    /// little, and takes the processor from the callers.
    private static let fewCallers = 4

    private let metrics: JournalMetrics

    init(_ options: Link.Options, _ configuration: JournalConfiguration, announcer: Announcer, tails: TailHub) {
        statements = options.statements
        metrics = options.metrics
        inquiry = Inquiry(options)
        self.announcer = announcer
        self.tails = tails
        durability = configuration.durability
        deadline = configuration.appendDeadline
        let count = configuration.writerConnections
        let limits = AppendQueue.Limits(
            bytes: configuration.maximumSegmentBytes,
            segmentsUnderWay: count * Pace.mostUnderWay,
            alone: max(1, count - 1)
        )
        state = Mutex(AppenderState(queue: AppendQueue(limits: limits), wireCount: count, deadline: deadline))
        let links = (0..<count).map { wire in
            Link(options) { [weak self] event in self?.handle(event, on: wire) ?? false }
        }
        self.links.withLock { $0 = links }
    }

    deinit { closeConnections() }

    private func closeConnections() {
        taskExecutor.close()
        for link in allLinks { link.close() }
        let requesters = inquiries.withLock { inquiries in
            defer { inquiries = nil }
            return inquiries.map { Array($0.values) } ?? []
        }
        for requester in requesters { requester.close() }
    }

    private var allLinks: [Link] { links.withLock { $0 } }

    private func link(_ wire: Int) -> Link { links.withLock { $0[wire] } }

    // MARK: For callers

    /// Appends, and returns the first event's position once they are durable.
    func append(
        _ events: [DurableEvent],
        to stream: StreamName,
        epoch: Int?,
        expecting: Int?
    ) async throws(JournalError) -> Int {
        let ticket = Ticket()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let append = Append(
                    id: 0,
                    stream: stream,
                    epoch: epoch,
                    expecting: expecting,
                    events: events,
                    byteCount: Append.byteCount(of: events),
                    deadline: .now + deadline,
                    caller: continuation
                )
                inbox.put(.init(append: append, ticket: ticket))
                workOff()
            }
        } onCancel: {
            cancel(ticket, stream)
        }
        return try result.get()
    }

    /// Returns when everything accepted so far has been answered.
    func flush() async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            perform { state in state.flush(done) }
        }
    }

    /// Fails what has not been answered. `flush` first, to wait for it.
    func close() {
        perform { state in
            state.isClosed = true
            let resolutions = state.queue.close(because: .closed)
            state.resolve(resolutions)
        }
        closeConnections()
    }

    private func cancel(_ ticket: Ticket, _ stream: StreamName) {
        perform { state in
            guard let id = ticket.cancel() else { return }
            if let append = state.queue.withdraw(id, of: stream) {
                state.tell(append.caller, .failure(.cancelledUnsent))
                state.count(id)
            } else if let (append, receipt) = state.queue.giveUp(id) {
                // Awaited on the wire, though not by the caller.
                state.tell(append.caller, .failure(.unknown(receipt, because: .cancelledUnsent)))
            }
        }
    }

    /// Changes the state and does what follows from it.
    private func perform(_ body: (inout AppenderState) -> Void) {
        let effects = state.withLock { state in
            state.accept(inbox.take())
            body(&state)
            return state.takeEffects()
        }
        carryOut(effects)
        workOff()
    }

    /// Takes what is in the inbox, unless somebody else has the lock: they look into the inbox when they have let it go.
    private func workOff() {
        while !inbox.isEmpty {
            let effects: AppenderState.Effects? = state.withLockIfAvailable { state in
                state.accept(inbox.take())
                return state.takeEffects()
            }
            guard let effects else { return }
            carryOut(effects)
        }
    }

    /// Outside the lock. Who calls it looks into the inbox afterwards.
    private func carryOut(_ effects: AppenderState.Effects) {
        for wire in effects.starting { link(wire).start() }
        for departure in effects.departures { send(departure) }
        for (caller, result) in effects.told { caller.resume(returning: result) }
        for wire in effects.timers { setTimer(wire) }
        for flusher in effects.flushed { flusher.resume() }
    }

    // MARK: The wire

    private func send(_ departure: AppenderState.Departure) {
        let segment = departure.segment
        let session = departure.session
        // The statement that needs none waits for a lock as long as it says itself.
        let bringsSettings = segment.isChained && !departure.isPrepared && departure.lockPatience != nil
        let hasSettings = departure.isPrepared || bringsSettings
        var commands = [
            segment.command(statements, durability, hasSettings: hasSettings, isTimed: tails.takeAppended)
        ]
        if let patience = departure.lockPatience { commands = segment.lock(statements, atMost: patience) + commands }
        if bringsSettings { commands.insert(settings(ofTransaction: true), at: 0) }
        let areFew = segment.appendCount <= Self.fewCallers
        let append = Batch(commands, awake: areFew ? .forNextAnswer : nil) { [self] outcome in
            answered(departure, outcome)
        }
        // The append first: the server is at work while the rest is done.
        session.submit([append])
        let streams = segment.runs.lazy.map(\.stream)
        if !departure.isBehindPooler, let announcement = announcer.batch(behind: departure.number, to: streams) {
            session.submit([announcement])
        }
        metrics.sent(segment.appendCount)
    }

    private func answered(_ departure: AppenderState.Departure, _ outcome: Result<[QueryResult], BatchFailure>) {
        let (segment, wire, session) = (departure.segment, departure.wire, departure.session)
        let now = ContinuousClock.now
        var needsReconnect = false
        var isIdle = false
        var isAnnouncingDue = false
        if case .success = outcome {
            let streams = segment.runs.lazy.map(\.stream)
            isAnnouncingDue = announcer.appended(
                departure.number,
                to: streams,
                isAlone: departure.isBehindPooler,
                at: now
            )
        }
        perform { state in
            let place = state.takeOffTheWire(segment.id, of: wire)
            var resolutions: [AppendQueue.Resolution] = []
            switch outcome {
            case .success(let results):
                switch results.last.map(segment.answers) ?? .unreadable {
                case .answers(let answers):
                    resolutions = state.queue.answered(segment.id, answers)
                    state.wires[wire].pause = BackOff()
                    state.lastError = nil
                case .partial(let count):
                    state.queue.partlyWritten(segment.id, count)
                case .unreadable:
                    // It committed, and we cannot tell what: asked again until the deadline says that it is unknown.
                    state.lastError = JournalError(.refused, "the server answered an append in an unknown form")
                    state.queue.connectionLost(segment.id, sent: true)
                    state.pause(wire)
                }
            case .failure(.refused(let message)):
                if SQLState.isMixUp(message.sqlState) {
                    // The session prepares nothing any more: there is a pooler after all.
                    if state.wires[wire].session === session {
                        (state.wires[wire].isPrepared, state.wires[wire].backendPID) = (false, nil)
                    }
                    resolutions = state.queue.connectionLost(segment.id, sent: false)
                } else {
                    needsReconnect = SQLState.needsReconnect(message.sqlState)
                    let refused = state.queue.refused(segment.id, message, at: now)
                    resolutions = refused.resolutions
                    if refused.isToPause || needsReconnect { state.lastError = .refusedUntilDeadline(message) }
                    if refused.isToPause { state.pause(wire) } else { state.setRestTimers() }
                }
            case .failure(.connectionLost(_, let sent)):
                resolutions = state.queue.connectionLost(segment.id, sent: sent)
                needsReconnect = true
            }
            if needsReconnect, state.wires[wire].session === session { state.wires[wire].session = nil }
            state.resolve(resolutions)
            state.goOn(wire, after: place, at: now)
            isIdle = state.isIdle(wire)
        }
        // First those who wait for their answer, then the tails.
        tellTails(of: departure, outcome)
        if isAnnouncingDue { announcer.send() }
        if needsReconnect { return session.close() }
        if isIdle {
            if departure.isBehindPooler { announcer.send() } else { announcer.batch().map { session.submit([$0]) } }
        }
        if announcer.hasWaiting {
            // It goes with the next segment; should that be long in coming, by itself.
            perform { state in state.announce(by: now + .milliseconds(10), on: wire) }
        }
    }

    /// What is appended here the tails here have without a notification, and pass ours over: so they are told of all that
    /// is in the log now, and of all that may be.
    private func tellTails(of departure: AppenderState.Departure, _ outcome: Result<[QueryResult], BatchFailure>) {
        let segment = departure.segment
        let streams = segment.runs.lazy.map(\.stream)
        switch outcome {
        case .success(let results):
            if let written = results.last.flatMap(segment.written) {
                tails.appended(written, on: departure.serverStart)
            } else {
                tails.moved(streams)
            }
        case .failure(.refused(let message)) where !SQLState.leavesOutcomeOpen(message.sqlState): break
        case .failure:
            // It may be committed later, and its notification be all that tells of it.
            announcer.disown()
            tails.moved(streams)
        }
    }

    // MARK: The connections

    private func handle(_ event: Link.Event, on wire: Int) -> Bool {
        switch event {
        case .ready(let session, let greeting):
            if wire == 0 { taskExecutor.use(session) }
            if !greeting.isBehindPooler { prepare(session, of: wire) }
            perform { state in
                if let way = greeting.way {
                    let isFirst = state.wires.allSatisfy { $0.session == nil }
                    state.pace.connected(way: way, isFirst: isFirst)
                }
                state.wires[wire].session = session
                state.wires[wire].backendPID = greeting.isBehindPooler ? nil : greeting.info.backendPID
                state.wires[wire].serverStart = greeting.serverStart
                state.isBehindPooler = greeting.isBehindPooler
                (state.wires[wire].isLookedAfter, state.wires[wire].doubtedFrom) = (false, nil)
                state.wires[wire].isPrepared = false
                state.wires[wire].underWay = []
                state.wires[wire].answeredAt = nil
                state.lastError = nil
                state.departOrLet(wire)
                state.setTimer(of: wire)
            }
            return true
        case .lost(let error), .left(let error):
            if wire == 0 { taskExecutor.use(nil) }
            perform { state in
                state.wires[wire].session = nil
                state.lastError = error
                // What it had under way can go with another.
                state.gathering.stop(wire)
                for other in state.wires.indices { state.departOrLet(other) }
            }
            expire(wire)
            announcer.send()
            var isNeeded = false
            perform { state in
                isNeeded = !state.queue.isEmpty
                state.wires[wire].isStarted = isNeeded
            }
            return isNeeded
        case .timer:
            expire(wire)
            inquire()
            var isAnnouncing = false
            perform { state in
                let now = ContinuousClock.now
                state.gathering.expire(wire, at: now)
                if let until = state.wires[wire].pausedUntil, until <= now { state.wires[wire].pausedUntil = nil }
                if state.gathering.end(of: wire) == nil { state.departOrLet(wire) }
                state.endRests(at: now)
                state.lookAgain(at: now)
                isAnnouncing = state.isAnnouncingDue(on: wire, at: now)
                state.setTimer(of: wire)
            }
            if isAnnouncing { announcer.send() }
            return true
        case .notification:
            return true
        }
    }

    /// What only a session of our own can be told once for all its transactions; a pooler would hand it to others.
    private func prepare(_ session: Session, of wire: Int) {
        session.submit([
            Batch([settings(ofTransaction: false)]) { [weak self] outcome in
                guard case .success = outcome else { return }
                self?.perform { state in
                    if state.wires[wire].session === session { state.wires[wire].isPrepared = true }
                }
            }
        ])
    }

    private func settings(ofTransaction isLocal: Bool) -> (Statement, Parameters) {
        var parameters = Parameters()
        parameters.append(durability.rawValue)
        parameters.append(isLocal)
        return (statements.append.settings, parameters)
    }

    private func expire(_ wire: Int) {
        var ended: [(wire: Int, session: Session)] = []
        perform { state in
            ended = state.expire(
                at: .now,
                because: JournalError(.unreachable, "the server did not answer within \(deadline)")
            )
        }
        // Their answers may come yet: better never, on connections that are not what they seem.
        for (wire, session) in ended { link(wire).reset(ifStill: session) }
    }

    /// Asks what the server is at, of connections that have been silent for long.
    private func inquire() {
        var doubts: [AppenderState.Doubt] = []
        perform { state in doubts = state.doubts(at: .now) }
        for doubt in doubts {
            let requester = inquiry.requester()
            let (isOpen, last): (Bool, Requester?) = inquiries.withLock { inquiries in
                (inquiries != nil, inquiries?.updateValue(requester, forKey: doubt.wire))
            }
            // Of a session that the connection no longer has.
            last?.close()
            guard isOpen else { return }
            inquiry.ask(about: doubt.backendPID, over: requester, deadline: doubt.deadline) { [weak self] isAtWork in
                self?.found(isAtWork, doubt, by: requester)
            }
        }
    }

    private func found(_ isAtWork: Bool?, _ doubt: AppenderState.Doubt, by requester: Requester) {
        inquiries.withLock { if $0?[doubt.wire] === requester { $0?[doubt.wire] = nil } }
        var isToEnd = false
        perform { state in isToEnd = state.resolve(doubt, isAtWork: isAtWork, at: .now) }
        if isToEnd { link(doubt.wire).reset(ifStill: doubt.session) }
    }

    private func setTimer(_ wire: Int) {
        // Under the lock: set after another thread's, an older time would take its place.
        state.withLock { state in
            link(wire).setTimer(at: state.nextTime(of: wire))
        }
    }
}
