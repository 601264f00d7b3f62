import LibPQ
import Logging
import Metrics
import Synchronization
import TisynStreams

/// One connection that appends, and the appends of the streams that keep to it.
///
/// Who appends puts the append into the queue and, where nothing is on the wire, the segment onto it, from their own
/// thread. From then on the connection's thread goes from segment to segment:
///
///     answer of segment n ─► queue ─► send segment n + 1 ─► tell the callers of n
///
/// After each commit the announcer wakes the tails, on a connection of its own.
final class AppendLane: Sendable {
    private struct State {
        var queue: AppendQueue
        var callers: [Int: Caller] = [:]
        var nextID = 0
        var session: Session?
        var isClosed = false
        var lastError: JournalError?
        /// The server is out of something, or somebody holds a lock: nothing is sent until the timer rings.
        var isPaused = false
        var pause = BackOff()
        /// Whether the timer is going to ring. It is not set anew at each append, only when it has rung.
        var hasTimer = false
        /// Set when all that was accepted has been answered.
        var flushers: [@Sendable () -> Void] = []

        mutating func pauseAfterRefusal() -> Duration {
            pause.failed()
            isPaused = true
            hasTimer = true
            return pause.delay
        }
    }

    private typealias Caller = Once<Result<Int, JournalError>>

    private let state: Mutex<State>
    private let link = Mutex<Link?>(nil)
    private let statements: Statements
    private let announcer: Announcer
    private let durability: JournalConfiguration.Durability
    private let deadline: Duration
    private let logger: Logger
    private let segmentSizes = Recorder(label: "durable_streams_segment_appends")

    init(_ options: Link.Options, _ configuration: JournalConfiguration, announcer: Announcer) {
        statements = options.statements
        self.announcer = announcer
        durability = configuration.durability
        deadline = configuration.appendDeadline
        logger = configuration.logger
        state = Mutex(State(queue: AppendQueue(limits: .init(bytes: configuration.maximumSegmentBytes))))
        let link = Link(options) { [weak self] event in self?.handle(event) ?? false }
        self.link.withLock { $0 = link }
    }

    deinit { link.withLock { $0?.close() } }

    private var connection: Link? { link.withLock { $0 } }

    // MARK: For callers

    /// Appends, and returns the first event's position once they are durable.
    func append(
        _ events: [DurableEvent],
        to stream: StreamName,
        epoch: Int?,
        expecting: Int?
    ) async throws(JournalError) -> Int {
        let caller = Caller()
        let append = Append(
            id: state.withLock { state in
                state.nextID += 1
                return state.nextID
            },
            stream: stream,
            epoch: epoch,
            expecting: expecting,
            events: events,
            byteCount: Append.byteCount(of: events),
            deadline: .now + deadline
        )
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                caller.onValue { continuation.resume(returning: $0) }
                add(append, caller)
            }
        } onCancel: {
            cancel(append.id, caller)
        }
        return try result.get()
    }

    /// Returns when everything accepted so far has been answered.
    func flush() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isEmpty = state.withLock { state in
                guard !state.queue.isEmpty else { return true }
                state.flushers.append { continuation.resume() }
                return false
            }
            if isEmpty { continuation.resume() }
        }
    }

    /// Fails what has not been answered. `flush` first, to wait for it.
    func close() {
        let reason = JournalError(.closed, "the journal was closed")
        let resolutions = state.withLock { state in
            state.isClosed = true
            return state.queue.close(because: reason)
        }
        tell(resolutions)
        connection?.close()
    }

    private func add(_ append: Append, _ caller: Caller) {
        let (refusal, session, segment, needsTimer): (JournalError?, Session?, Segment?, Bool) = state.withLock {
            state in
            guard !state.isClosed else {
                return (JournalError(.closed, outcome: .notWritten, "the journal was closed"), nil, nil, false)
            }
            // Cancelled before it came here.
            guard !caller.isSettled else { return (nil, state.session, nil, false) }
            state.callers[append.id] = caller
            state.queue.add(append)
            let needsTimer = !state.hasTimer
            state.hasTimer = true
            let segment = state.session == nil || state.isPaused ? nil : state.queue.nextSegment()
            return (nil, state.session, segment, needsTimer)
        }
        if let refusal { return caller.set(.failure(refusal)) }
        if let session {
            if let segment { send(segment, over: session) }
        } else {
            connection?.start()
        }
        if needsTimer { setTimer() }
    }

    private func cancel(_ id: Int, _ caller: Caller) {
        state.withLock { state in
            var error = JournalError(.cancelled, outcome: .notWritten, "the task was cancelled")
            if state.queue.withdraw(id) {
                state.callers[id] = nil
            } else if let receipt = state.queue.receipt(of: id) {
                error.outcome = .unknown
                error.receipt = receipt
            } else if state.callers[id] != nil {
                // Answered, and about to be told: that is what happened, and not what we might guess here.
                return
            }
            // Under the lock: an append on its way into the queue must find that it has been given up.
            caller.set(.failure(error))
        }
        tellFlushers()
    }

    // MARK: The wire

    private func send(_ segment: Segment, over session: Session) {
        segmentSizes.record(segment.appendCount)
        session.submit([
            Batch([segment.command(statements, durability)]) { [self] in answered(segment, over: session, $0) }
        ])
    }

    private func answered(_ segment: Segment, over session: Session, _ outcome: Result<[QueryResult], BatchFailure>) {
        var needsReconnect = false
        var pause: Duration?
        let (resolutions, next): ([AppendQueue.Resolution], Segment?) = state.withLock { state in
            var resolutions: [AppendQueue.Resolution] = []
            switch outcome {
            case .success(let results):
                guard let answers = results.last.flatMap(segment.answers) else {
                    // It committed, and we cannot tell what: asked again until the deadline says that it is unknown.
                    state.lastError = JournalError(.refused, "the server answered an append in an unknown form")
                    state.queue.connectionLost(segment.id, sent: true)
                    pause = state.pauseAfterRefusal()
                    break
                }
                resolutions = state.queue.answered(segment.id, answers)
                state.pause = BackOff()
            case .failure(.refused(let message)):
                state.lastError = JournalError(message, outcome: nil)
                if SQLState.isPoolerMixUp(message.sqlState) {
                    session.usePreparedStatements(false)
                    state.queue.connectionLost(segment.id, sent: false)
                } else {
                    needsReconnect = SQLState.needsReconnect(message.sqlState)
                    resolutions = state.queue.refused(segment.id, message)
                    if SQLState.isWorthRetrying(message.sqlState) { pause = state.pauseAfterRefusal() }
                }
            case .failure(.connectionLost(_, let sent)):
                state.queue.connectionLost(segment.id, sent: sent)
                if state.session === session { state.session = nil }
                needsReconnect = true
            }
            guard !needsReconnect, !state.isPaused, state.session === session else { return (resolutions, nil) }
            return (resolutions, state.queue.nextSegment())
        }
        // First the wire, then the callers: the server works while they wake.
        if let next { send(next, over: session) }
        tell(resolutions)
        if case .success = outcome { announcer.announce(segment.runs.lazy.map(\.stream)) }
        if needsReconnect { session.close() }
        if let pause { connection?.setTimer(at: .now + pause) }
    }

    private func tell(_ resolutions: [AppendQueue.Resolution]) {
        guard !resolutions.isEmpty else { return tellFlushers() }
        let callers = state.withLock { state in resolutions.map { state.callers[$0.id] } }
        for (caller, resolution) in zip(callers, resolutions) { caller?.set(resolution.result) }
        // Only now: until it is told, `cancel` must see that there is an answer.
        state.withLock { state in
            for resolution in resolutions { state.callers[resolution.id] = nil }
        }
        tellFlushers()
    }

    private func tellFlushers() {
        let flushers = state.withLock { state in
            guard state.queue.isEmpty else { return [] as [@Sendable () -> Void] }
            defer { state.flushers = [] }
            return state.flushers
        }
        for flusher in flushers { flusher() }
    }

    // MARK: The connection

    private func handle(_ event: Link.Event) -> Bool {
        switch event {
        case .ready(let session, _):
            let segment = state.withLock { state in
                state.session = session
                state.lastError = nil
                return state.queue.nextSegment()
            }
            if let segment { send(segment, over: session) }
            setTimer()
            return true
        case .lost(let error):
            state.withLock { state in
                state.session = nil
                state.lastError = error
            }
            expire()
            return state.withLock { !$0.queue.isEmpty }
        case .timer:
            expire()
            let (session, segment): (Session?, Segment?) = state.withLock { state in
                state.isPaused = false
                return (state.session, state.session == nil ? nil : state.queue.nextSegment())
            }
            if let session, let segment { send(segment, over: session) }
            setTimer()
            return true
        case .notice(let notice):
            if notice.sqlState == "01000", notice.message.contains("synchronous") {
                logger.critical(
                    "the server acknowledged a commit that its synchronous standby may not have",
                    metadata: ["warning": "\(notice.message)"]
                )
            }
            return true
        case .notification:
            return true
        }
    }

    private func expire() {
        let (resolutions, abandoned) = state.withLock { state in
            let expired = state.queue.expire(
                at: .now,
                because: state.lastError
                    ?? JournalError(.unreachable, "the server did not answer within \(deadline)")
            )
            if expired.abandonedSegment { state.session = nil }
            return expired
        }
        tell(resolutions)
        // Its answer may come yet: better never, on a connection that is not what it seems.
        if abandoned { connection?.reset() }
    }

    private func setTimer() {
        let deadline = state.withLock { state in
            let first = state.queue.firstDeadline
            state.hasTimer = first != nil
            return first
        }
        connection?.setTimer(at: deadline)
    }
}
