import Synchronization

/// One connection, its thread, and the batches on it: from the first attempt to connect until it is lost or closed.
///
/// Whoever has work sends it from their own thread: `submit` puts it on the wire at once (behind a pooler when its turn
/// comes), so that a request costs one hand-off between threads (the answer's) and not two. The session's thread waits in
/// `poll` and hands out answers, notifications and the end. It never reconnects: a session ends once, and its owner starts
/// the next.
///
///     caller ── submit ──► lock { PQsend…, PQflush } ─────────────────► server
///     thread ── poll ────► lock { PQconsumeInput, PQgetResult } ◄────── server
///                 └──────► completion, event (outside the lock)
///
/// Where an answer is about to come, as batches say, the thread stays awake for it for a moment (`BusyWait`). And it runs
/// jobs of Swift tasks (`enqueue`): a task that runs there has its answers without any hand-off.
///
/// Everything that touches the `PGconn` is done under one lock, since libpq wants one thread at a time; nothing done
/// under it waits.
package final class Session: Sendable {
    /// What a session tells its owner: on its thread, in order, outside its lock.
    package enum Event: Sendable {
        case connected(ConnectionInfo)
        case notification(Notification)
        /// The time asked for with `setTimer` has come.
        case timer
        /// The last event. Batches that were under way have been told before.
        case ended(ConnectionFailure)
    }

    package typealias EventHandler = @Sendable (Session, Event) -> Void

    private struct State: ~Copyable {
        var phase = Phase.starting
        var connection: Connection?
        var pipeline = Pipeline()
        var prepared: Set<String> = []
        /// libpq holds bytes that the socket did not take yet.
        var isFlushing = false
        /// The session's own thread has sent a batch whose answer it stays awake for.
        var awaitsAnswer = false
        /// What came in may not all have been taken, and the socket does not show it.
        var holdsInput = false
        /// Answers came in while something was sent, and have not been taken.
        var hasAnswers = false
        var isEncrypted = false
        var timer: ContinuousClock.Instant?
        /// Set once the session's thread runs.
        var thread: UInt?
        /// Behind a pooler they are lost or mixed up, so nobody gets them before it is known that there is none.
        var usesPreparedStatements = false
        /// How often the socket was ready.
        var readyCount = 0
        /// What the server said before it hung up.
        var lastWords: ServerMessage?
        /// Why the connection is of no more use, though it is there.
        var breach: ConnectionFailure?
        /// Why it ended.
        var end: ConnectionFailure?
        let replication = ReplicationWatch()
    }

    private enum Phase { case starting, open, closing, ended }

    private let state: Mutex<State>
    private let jobs = JobQueue()
    private let wakePipe: WakePipe
    private let options: SessionOptions
    private let handler: EventHandler

    /// Starts a session after `delay`. It keeps itself alive until it has ended.
    ///
    /// - Returns: nil when the process is out of file descriptors or threads.
    package static func start(
        _ options: SessionOptions,
        after delay: Duration = .zero,
        handler: @escaping EventHandler
    ) -> Session? {
        guard let wakePipe = WakePipe() else { return nil }
        let session = Session(options: options, wakePipe: wakePipe, handler: handler)
        let startsAt = ContinuousClock.now + delay
        let started = startThread { session.run(startingAt: startsAt) }
        return started ? session : nil
    }

    private init(options: SessionOptions, wakePipe: consuming WakePipe, handler: @escaping EventHandler) {
        self.options = options
        self.wakePipe = wakePipe
        self.handler = handler
        state = Mutex(State())
    }

    /// SQLSTATEs `invalid_sql_statement_name` and `duplicate_prepared_statement`: a prepared statement of ours is not there,
    /// or one is that is not ours.
    package static let mixUpStates: Set = ["26000", "42P05"]

    // MARK: From any thread

    /// Sends the batches, in order, without waiting for their answers; until `goAhead` each when the one before it
    /// is answered. Each completion is called once; where the session is not open, before this returns.
    package func submit(_ batches: [Batch]) {
        let (unsent, reason): ([Batch], ConnectionFailure?) = state.withLock { state in
            guard state.phase == .open else { return (batches, state.end) }
            for batch in batches { state.pipeline.enqueue(batch) }
            Self.sendNext(state: &state)
            if state.isFlushing || state.hasAnswers || state.breach != nil { wakePipe.wake() }
            return ([], nil)
        }
        let failure = reason ?? ConnectionFailure(.closed, "the session is not open")
        for batch in unsent { batch.completion(.failure(.connectionLost(failure, sent: false))) }
    }

    /// Asks for a `timer` event at `time`, or for none. One at a time; a later call replaces an earlier one.
    package func setTimer(at time: ContinuousClock.Instant?) {
        let mustWake: Bool = state.withLock { state in
            defer { state.timer = time }
            // The thread itself looks at the timer before it waits again.
            guard let time, state.thread != currentThread() else { return false }
            return state.timer.map { time < $0 } ?? true
        }
        // To wake it costs a change of threads. Where the time is later, it wakes at the earlier one and waits on.
        if mustWake { wakePipe.wake() }
    }

    /// From here on batches go on the wire without waiting for the answers to those before them. Not behind a pooler, which
    /// may lose the answers.
    package func goAhead() {
        state.withLock { state in
            state.pipeline.goesAhead = true
            Self.sendNext(state: &state)
            if state.isFlushing || state.hasAnswers || state.breach != nil { wakePipe.wake() }
        }
    }

    /// From here on statements are prepared at their first use. Not behind a pooler, which loses them or mixes them up;
    /// where the server says that it does not know one, or knows another, it ends, and so does going ahead.
    package func usePreparedStatements() {
        state.withLock { $0.usesPreparedStatements = true }
    }

    /// Has the session's thread run a job. Jobs are run in the order they came; after those that were there, what came in is
    /// served before those they added. One that is never done keeps the session from everything else.
    ///
    /// - Returns: false where the session has ended, and will not run it. What it could not run before it ended it gives to
    ///   the global executor.
    package func enqueue(_ job: UnownedJob, on executor: UnownedTaskExecutor) -> Bool {
        switch jobs.add(.init(job: job, executor: executor)) {
        case .first:
            // The thread itself looks for jobs before it waits.
            if state.withLock({ $0.thread }) != currentThread() { wakePipe.wake() }
            return true
        case .behindOthers: return true
        case .refused: return false
        }
    }

    /// Whether it takes batches.
    package var isOpen: Bool { state.withLock { $0.phase == .open } }

    /// Where it stands after what was answered last; nil where something is under way, or it has no connection.
    package var standing: SessionStanding? {
        state.withLock { state in state.pipeline.isEmpty ? state.connection?.standing : nil }
    }

    /// How often something has come in, or gone out after it had to wait: where it stays the same the connection was silent.
    package var readyCount: Int { state.withLock { $0.readyCount } }

    /// Ends the session without waiting for what is under way, which is told that its outcome is unknown.
    package func close() {
        state.withLock { state in
            if state.phase != .ended { state.phase = .closing }
        }
        wakePipe.wake()
    }

    // MARK: On the session's thread

    private func run(startingAt start: ContinuousClock.Instant) {
        state.withLock { $0.thread = currentThread() }
        var failure = waitToStart(until: start)
        if failure == nil { failure = connect() }
        var busyWait = BusyWait(limit: options.busyWait)
        while failure == nil {
            let hasJobs = runJobs(&busyWait)
            let (socket, isFlushing, holdsInput, timer, awaitsAnswer) = state.withLock { state in
                defer { state.awaitsAnswer = false }
                let socket = state.connection?.socket ?? -1
                return (socket, state.isFlushing, state.holdsInput || state.hasAnswers, state.timer, state.awaitsAnswer)
            }
            if awaitsAnswer { busyWait.asked(at: .now) }
            if !holdsInput, !hasJobs, let end = busyWait.end(at: .now),
                let interruption = stayAwake(on: socket, forWriting: isFlushing, until: min(end, timer ?? end))
            {
                busyWait.interrupted(for: interruption)
            }
            let patience: Duration? = holdsInput || hasJobs ? .zero : nil
            let woken = wait(on: socket, forWriting: isFlushing, until: timer, for: patience)
            failure = serve(&busyWait, isReady: woken.isReady)
            // Behind what came in: where this process, or its machine, stood still, answers are there that came in time.
            if failure == nil, woken.mayRing { ring() }
        }
        for job in jobs.end() { globalConcurrentExecutor.enqueue(ExecutorJob(job.job)) }
        end(failure ?? ConnectionFailure(.closed, "the session was closed"))
    }

    /// Runs the jobs there are. Whether there are more now.
    private func runJobs(_ busyWait: inout BusyWait) -> Bool {
        let round = jobs.take()
        guard !round.isEmpty else { return false }
        let begin = ContinuousClock.now
        for job in round { job.run() }
        busyWait.resumed(from: begin, at: .now)
        return !jobs.isEmpty
    }

    private func waitToStart(until start: ContinuousClock.Instant) -> ConnectionFailure? {
        while ContinuousClock.now < start {
            if let closed = closedFailure() { return closed }
            waitAndRing(on: -1, forWriting: false, for: start - .now)
        }
        return closedFailure()
    }

    /// Waits for the socket, for another thread's wake-up or for the timer, and rings the timer. Whether the socket is ready.
    @discardableResult
    private func waitAndRing(on socket: Int32, forWriting: Bool, for patience: Duration?) -> Bool {
        let timer = state.withLock { $0.timer }
        let woken = wait(on: socket, forWriting: forWriting, until: timer, for: patience)
        if woken.mayRing { ring() }
        return woken.isReady
    }

    /// Waits for the socket, for another thread's wake-up or for the timer: whether the socket is ready, and whether the timer
    /// may have come.
    private func wait(
        on socket: Int32,
        forWriting: Bool,
        until timer: ContinuousClock.Instant?,
        for patience: Duration?
    ) -> (isReady: Bool, mayRing: Bool) {
        var duration = timer.map { max(.zero, $0 - .now) }
        if let patience, duration.map({ patience < $0 }) ?? true { duration = patience }
        let (isReady, isWoken) = waitForEvents(on: socket, forWriting: forWriting, or: wakePipe.readEnd, for: duration)
        if isWoken { wakePipe.drain() }
        // Whoever set it to an earlier time meanwhile has woken us.
        return (isReady, isWoken || timer.map({ $0 <= .now }) ?? false)
    }

    /// Rings the timer, if its time has come.
    private func ring() {
        let rings: Bool = state.withLock { state in
            guard let timer = state.timer, timer <= .now else { return false }
            state.timer = nil
            return true
        }
        if rings { handler(self, .timer) }
    }

    /// Returns when the socket is ready, another thread has woken us, the time is over, or somebody else has had the processor;
    /// then for how long.
    private func stayAwake(
        on socket: Int32,
        forWriting: Bool,
        until end: ContinuousClock.Instant
    ) -> Duration? {
        var before = ContinuousClock.now
        while before < end {
            yieldProcessor()
            let events = waitForEvents(on: socket, forWriting: forWriting, or: wakePipe.readEnd, for: .zero)
            let now = ContinuousClock.now
            if now - before > BusyWait.interruption { return now - before }
            if events.isReady || events.isWoken { return nil }
            before = now
        }
        return nil
    }

    private func closedFailure() -> ConnectionFailure? {
        state.withLock { $0.phase == .closing } ? ConnectionFailure(.closed, "the session was closed") : nil
    }

    private func connect() -> ConnectionFailure? {
        var attempt = ConnectAttempt(options: options) { [self] socket, forWriting, patience in
            let isReady = waitAndRing(on: socket, forWriting: forWriting, for: patience)
            return closedFailure() != nil ? .closed : isReady ? .ready : .interrupted
        }
        attempt.lookUp = options.lookUp
        attempt.wake = { [self] in wakePipe.wake() }
        switch attempt.run() {
        case .failure(let failure):
            return failure
        case .success(let connection):
            let info = ConnectionInfo(connection)
            var opened: Connection? = consume connection
            state.withLock { state in
                state.connection = opened.take()
                state.connection?.setNoticeReceiver(state.replication)
                state.isEncrypted = state.connection?.isEncrypted == true || state.connection?.isGSSEncrypted == true
                if state.phase == .starting { state.phase = .open }
            }
            if let closed = closedFailure() { return closed }
            handler(self, .connected(info))
            return nil
        }
    }

    /// Takes what came in and tells whom it concerns.
    private func serve(_ busyWait: inout BusyWait, isReady: Bool) -> ConnectionFailure? {
        var finished: [Pipeline.Finished] = []
        var events: [Event] = []
        let failure: ConnectionFailure? = state.withLock { state in
            if state.phase == .closing { return ConnectionFailure(.closed, "the session was closed") }
            if isReady { state.readyCount &+= 1 }
            let isAlive = state.connection?.consumeInput() ?? false
            state.hasAnswers = false
            Self.collect(state: &state, into: &finished)
            while let notification = state.connection?.notifies() { events.append(.notification(notification)) }
            if isAlive, state.isFlushing || !finished.isEmpty { Self.sendNext(state: &state) }
            // Where nobody can say, it is looked once more.
            if state.isEncrypted { state.holdsInput = state.connection?.holdsInput ?? !state.holdsInput }
            if let breach = state.breach { return breach }
            return isAlive && state.connection?.isAlive == true ? nil : Self.lossReason(state: &state)
        }
        for batch in finished { batch.completion(batch.outcome) }
        for event in events { handler(self, event) }
        if finished.contains(where: { $0.awake == .forNextAnswer }) {
            busyWait.expect(at: .now)
        } else if finished.contains(where: { $0.awake == .forAnswer }) {
            busyWait.met(at: .now)
        }
        return failure
    }

    private func end(_ failure: ConnectionFailure) {
        let lost = state.withLock { state in
            state.phase = .ended
            state.end = failure
            state.connection = nil
            return state.pipeline.lost(failure)
        }
        for batch in lost { batch.completion(batch.outcome) }
        handler(self, .ended(failure))
    }

    // MARK: Under the lock

    /// Puts the batches whose turn it is on the wire.
    private static func sendNext(state: inout State) {
        while let batch = state.pipeline.next() {
            // A failure to send is a lost connection: the thread finds it so at the flush, and tells everybody.
            let preparing = send(batch, state: &state)
            state.pipeline.sent(batch.completion, preparing: preparing, awake: batch.awake)
            if batch.awake == .forAnswer, state.thread == currentThread() { state.awaitsAnswer = true }
        }
        // A failed flush leaves the bytes; reading then finds the connection gone.
        state.isFlushing = (state.connection?.flush() ?? 0) != 0
        // Where the socket took no more for a moment libpq has read meanwhile: what came then the socket does not show.
        let isReadable = state.connection?.isBusy == false || state.isEncrypted && state.connection?.holdsInput == true
        state.hasAnswers = !state.pipeline.isEmpty && isReadable
    }

    /// Returns the statements that had to be prepared: before the others, so that their results come first.
    private static func send(_ batch: Batch, state: inout State) -> [String] {
        var preparing: [String] = []
        var isTaken = true
        if state.usesPreparedStatements {
            for command in batch.commands where state.prepared.insert(command.statement.name).inserted {
                preparing.append(command.statement.name)
                isTaken = state.connection?.sendPrepare(command.statement) == true && isTaken
            }
        }
        for command in batch.commands {
            let isSent =
                state.usesPreparedStatements
                ? state.connection?.sendQueryPrepared(command.statement, command.parameters)
                : state.connection?.sendQueryParams(command.statement, command.parameters)
            isTaken = isSent == true && isTaken
        }
        isTaken = state.connection?.pipelineSync() == true && isTaken
        if !isTaken, state.connection?.isAlive == true {
            // It has no memory: the answers would be those of less than was asked.
            state.breach = ConnectionFailure(.network, state.connection?.errorMessage ?? "")
        }
        return preparing
    }

    private static func lossReason(state: inout State) -> ConnectionFailure {
        if let words = state.lastWords, !words.sqlState.isEmpty {
            return ConnectionFailure(.network, sqlState: words.sqlState, "the server ended the connection: \(words)")
        }
        let message = state.connection?.errorMessage ?? ""
        return ConnectionFailure(.network, message.isEmpty ? "the connection was cut" : message)
    }

    private static func collect(state: inout State, into finished: inout [Pipeline.Finished]) {
        // A null ends the results of one statement; two in a row, and libpq has nothing more to give.
        var nulls = 0
        while state.breach == nil, !state.pipeline.isEmpty, nulls < 2, state.connection?.isBusy == false {
            let result = state.connection?.getResult()
            state.breach = breach(of: result, state.replication)
            if state.breach != nil { return }
            if let result {
                nulls = 0
                take(result, state: &state, into: &finished)
            } else {
                nulls += 1
            }
        }
    }

    private static func breach(of result: QueryResult?, _ replication: ReplicationWatch) -> ConnectionFailure? {
        // It comes before the end of the batch whose commit it was: that one's outcome is then unknown, as is that of those
        // behind it.
        if let warning = replication.warning {
            return ConnectionFailure(.network, "a commit no longer waits for its synchronous standbys: \(warning)")
        }
        guard case .copy = result?.kind else { return nil }
        return ConnectionFailure(.network, "COPY is not possible here; the connection was closed")
    }

    private static func take(_ result: QueryResult, state: inout State, into finished: inout [Pipeline.Finished]) {
        let item: Pipeline.Item =
            switch result.kind {
            case .sync: .sync
            case .skipped: .skipped
            case .failure: .failure(result.message)
            case .success, .copy: .result(result)
            }
        // Not the server session that they were prepared on: a pooler is in between after all, or somebody deallocated them.
        if case .failure(let message) = item, mixUpStates.contains(message.sqlState) {
            state.usesPreparedStatements = false
            state.pipeline.goesAhead = false
            state.prepared = []
        }
        // libpq's own words, which have no SQLSTATE, must not cover the server's.
        if case .failure(let message) = item, message.endsConnection, state.lastWords?.sqlState.isEmpty ?? true {
            state.lastWords = message
        }
        if let batch = state.pipeline.received(item) {
            state.prepared.subtract(batch.unprepared)
            finished.append(batch)
        }
    }
}
