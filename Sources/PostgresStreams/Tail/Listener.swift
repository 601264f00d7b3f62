import DequeModule
import LibPQ
import Logging
import Synchronization

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The one connection of a journal that listens: the IO of `ListenerMachine`, and what it shows to the user.
///
/// It passes notifications on as hints, and says "look at everything" whenever hints may have been missed.
final class Listener: Sendable {
    enum Hint: Sendable {
        /// The payload of a notification: digests of names, with commas between. From anybody, so perhaps nonsense.
        case streams(String)
        case everything
    }

    private struct State {
        var machine: ListenerMachine
        var listening = ListeningState.idle
        var log = ListeningLog()
        var isClosed = false
        /// The connection there is, and how many there have been.
        var session: Session?
        var connectionNumber = 0
        var isBehindPooler = false
        var serverStart: Int64?
        /// Nobody tails: until when the connection is kept.
        var lingersUntil: ContinuousClock.Instant?
        var hint: (@Sendable (Hint) -> Void)?
        var observers: [Int: Observer] = [:]
        var observerCount = 0
        /// Changes that nobody has been told of.
        var changes: Deque<Change> = []
        /// One thread tells at a time, so that all are told in the order of the changes.
        var isTelling = false
    }

    private typealias Observer = AsyncStream<ListeningState>.Continuation

    private struct Change {
        var state: ListeningState
        var level: Logger.Level
        /// Who is to be told of it: those who came later were told of the state as it was then.
        var observers: [Observer]
    }

    private let state: Mutex<State>
    private let link = Mutex<Link?>(nil)
    private let reader: Requester
    private let announcer: Announcer
    private let statements: Statements
    private let readDeadline: Duration
    /// Also the channel's name.
    private let schema: SchemaName
    private let logger: Logger
    private let metrics: JournalMetrics

    init(
        _ configuration: JournalConfiguration,
        _ schema: SchemaName,
        _ base: Link.Options,
        reader: Requester,
        announcer: Announcer
    ) {
        state = Mutex(State(machine: ListenerMachine(configuration.listening)))
        self.reader = reader
        self.announcer = announcer
        statements = base.statements
        readDeadline = configuration.readDeadline
        self.schema = schema
        logger = configuration.logger
        metrics = base.metrics
        var linkOptions = base
        linkOptions.purpose = "listen"
        linkOptions.schemaVersion = nil
        if let url = configuration.listenURL {
            let session = configuration.session(to: url)
            linkOptions.session.connectionString = url
            linkOptions.session.passwordProvider = session.passwordProvider
        }
        // Standbys have no notifications, whatever the connection string prefers for reading.
        linkOptions.session.overrides += ConnectionDefaults.primary(linkOptions.session.connectionString)
        let link = Link(linkOptions) { [weak self] event in self?.handle(event) ?? false }
        self.link.withLock { $0 = link }
    }

    deinit { link.withLock { $0?.close() } }

    private var connection: Link? { link.withLock { $0 } }

    /// Who is told of hints.
    func onHint(_ body: @escaping @Sendable (Hint) -> Void) { state.withLock { $0.hint = body } }

    // MARK: Starting and stopping

    /// Somebody tails.
    func start() {
        let isFirst = state.withLock { state in
            guard !state.isClosed else { return false }
            state.lingersUntil = nil
            defer { show(&state) }
            return state.machine.start(at: .now)
        }
        tell()
        setTimer()
        if isFirst { connection?.start() }
    }

    /// Nobody tails any more: the connection is given back, unless somebody soon does. Many tails may be short, and come one
    /// after the other: without that each would make one.
    func stop() {
        state.withLock { state in
            guard state.machine.isStarted else { return }
            state.lingersUntil = .now + Self.linger
            show(&state)
        }
        tell()
        setTimer()
    }

    /// Longer than a probe takes, which finds out whether a pooler is to be told that nobody listens.
    private static let linger = Duration.seconds(10)

    /// Gives the connection back, if it is time for that.
    private func endLinger() {
        let isOver = state.withLock { state in
            guard let end = state.lingersUntil, end <= .now else { return false }
            state.lingersUntil = nil
            defer { show(&state) }
            return state.machine.stop()
        }
        if isOver { connection?.giveBack() }
    }

    func close() {
        let observers = state.withLock { state in
            state.isClosed = true
            state.lingersUntil = nil
            _ = state.machine.stop()
            defer { state.observers = [:] }
            return Array(state.observers.values)
        }
        metrics.listening(.idle)
        for observer in observers { observer.finish() }
        connection?.close()
    }

    /// Events come.
    func noteActivity() {
        let isSooner = state.withLock { state in
            let before = state.machine.deadline
            state.machine.noteActivity(at: .now)
            return state.machine.deadline != before
        }
        if isSooner { setTimer() }
    }

    /// The connection that listens, to read on what it named: its server process and our thread are awake already, where
    /// another's would have to wake. Nil unless it has been heard to hear; and where reading is a standby's business.
    var route: Route? {
        guard !reader.isOnStandby else { return nil }
        return state.withLock { state in
            guard state.machine.isTrusted, let session = state.session else { return nil }
            return Route(number: state.connectionNumber, session: session, isBehindPooler: state.isBehindPooler)
        }
    }

    /// Which server it listens to (`Greeting.serverStart`); nil where it is not connected.
    var serverStart: Int64? { state.withLock { $0.session == nil ? nil : $0.serverStart } }

    struct Route: Sendable {
        /// Counts the connections there have been.
        var number: Int
        var session: Session
        var isBehindPooler: Bool
    }

    /// Asks on the connection that listens, where what is asked must be answered within the read deadline: otherwise it is
    /// given up, and `completion` told that it was lost.
    func ask(
        _ statement: Statement,
        _ parameters: Parameters = Parameters(),
        over session: Session,
        completion: @escaping Batch.Completion
    ) {
        if state.withLock({ $0.machine.asked(until: .now + readDeadline) }) { setTimer() }
        session.submit([
            Batch([(statement, parameters)], awake: .forAnswer) { [weak self] outcome in
                self?.state.withLock { $0.machine.answered() }
                completion(outcome)
            }
        ])
    }

    // MARK: What it does just now

    var current: ListeningState { state.withLock { $0.listening } }

    /// The state now, and each change from here on; the latest 64 are kept for a slow reader.
    func states() -> AsyncStream<ListeningState> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: ListeningState.self,
            bufferingPolicy: .bufferingNewest(64)
        )
        let id = state.withLock { state in
            state.observerCount += 1
            state.observers[state.observerCount] = continuation
            // Nobody waits for it yet.
            continuation.yield(state.listening)
            if state.isClosed { continuation.finish() }
            return state.observerCount
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.observers[id] = nil } }
        return stream
    }

    /// Notes a change, under the lock. `tell` then says it, outside.
    private func show(_ state: inout State) {
        let listening: ListeningState
        switch (state.machine.shown, state.listening) {
        case _ where state.lingersUntil != nil: listening = .idle
        case (.idle, _): listening = .idle
        case (.listening, _): listening = .listening
        case (.polling(let reason), _): listening = .polling(reason)
        case (.reconnecting(let reason), .reconnecting(let since, _)): listening = .reconnecting(since: since, reason)
        case (.reconnecting(let reason), _): listening = .reconnecting(since: Date(), reason)
        }
        guard state.listening != listening else { return }
        state.listening = listening
        state.changes.append(
            Change(state: listening, level: state.log.level(of: listening), observers: Array(state.observers.values))
        )
    }

    /// Tells everybody of the changes. Not under the lock:
    ///
    ///     a thread that yields:  our lock, then the lock of the task that waits for the state
    ///     its task is cancelled: the lock of the task, then, in `onTermination`, ours
    ///
    /// would stop both for ever. And a log handler, which is the user's, may take its time, or ask for the state.
    private func tell() {
        let isFirst = state.withLock { state in
            defer { state.isTelling = true }
            return !state.isTelling
        }
        guard isFirst else { return }
        while let change = nextChange() {
            metrics.listening(change.state)
            logger.log(
                level: change.level,
                "\(ListeningLog.message)",
                metadata: ["state": "\(change.state)"]
            )
            for observer in change.observers { observer.yield(change.state) }
        }
    }

    /// Nil, and the telling ends, where there is none.
    private func nextChange() -> Change? {
        state.withLock { state in
            let change = state.changes.popFirst()
            state.isTelling = change != nil
            return change
        }
    }

    // MARK: The connection

    private func handle(_ event: Link.Event) -> Bool {
        switch event {
        case .ready(let session, let greeting):
            let isNeeded = state.withLock { state in
                state.session = session
                state.connectionNumber += 1
                state.isBehindPooler = greeting.isBehindPooler
                state.serverStart = greeting.serverStart
                return state.machine.isStarted
            }
            // The last tail ended while it was made.
            guard isNeeded else {
                connection?.giveBack()
                return true
            }
            act(over: session) {
                $0.connected(isBehindPooler: greeting.isBehindPooler, isStandby: greeting.isInRecovery, at: .now)
            }
        case .notification(let notification): heard(notification)
        case .timer:
            endLinger()
            act { $0.tick(at: .now) }
        case .lost(let error): return lost(error.message)
        case .left: return lost(nil)
        }
        return true
    }

    /// - Parameter message: nil where we ended it, and nothing was wrong.
    private func lost(_ message: String?) -> Bool {
        state.withLock { state in
            state.session = nil
            // For nobody none is made.
            if state.lingersUntil != nil { _ = state.machine.stop() }
            state.lingersUntil = nil
        }
        var pause: Duration?
        act { machine in
            let (time, actions) = machine.lost(message, at: .now)
            pause = time
            return actions
        }
        guard let pause, pause > .zero else { return pause != nil }
        connection?.start(after: pause)
        return false
    }

    private func heard(_ notification: Notification) {
        guard notification.channel == schema.text else { return }
        guard notification.payload.utf8.starts(with: ListenerMachine.probePrefix.utf8) else {
            state.withLock { $0.hint }?(.streams(notification.payload))
            // What is notified may not have come to the standby yet: look again soon.
            if reader.isOnStandby { noteActivity() }
            return
        }
        act { $0.heard(notification.payload, at: .now) }
    }

    // MARK: The machine

    /// Tells the machine something, and does what it says.
    private func act(over session: Session? = nil, _ event: (inout ListenerMachine) -> [ListenerMachine.Action]) {
        let isOnStandby = reader.isOnStandby
        let actions = state.withLock { state in
            state.machine.readsFromStandby = isOnStandby
            defer { show(&state) }
            return event(&state.machine)
        }
        tell()
        for action in actions {
            switch action {
            case .listen: (session ?? state.withLock { $0.session }).map(listen)
            case .unlisten: state.withLock { $0.session }.map(unlisten)
            case .probe(let token): send(probe: token)
            case .look: state.withLock { $0.hint }?(.everything)
            case .reconnect: connection?.reset()
            case .clearQueue: announcer.clearQueue()
            }
        }
        setTimer()
    }

    /// Under the lock: set after another thread's, an older time would take its place, and a missed probe go unnoticed.
    private func setTimer() {
        state.withLock { state in
            var time = Earliest()
            time.consider(state.machine.deadline)
            time.consider(state.lingersUntil)
            connection?.setTimer(at: time.time)
        }
    }

    /// Reaches the pooler's connection that has LISTEN where that is the one it gives out next, as it is when it has been
    /// idle. Nothing more can be done about one that it does not.
    private func unlisten(over session: Session) {
        ask(statements.unlisten, over: session) { _ in }
    }

    private func listen(over session: Session) {
        ask(statements.listen, over: session) { [weak self] outcome in
            switch outcome {
            case .success: self?.act { $0.listened(at: .now) }
            case .failure(.refused(let message)):
                self?.act { $0.listenRefused(sqlState: message.sqlState, at: .now) }
            // Where it is not lost, but that answer, it would never be asked again.
            case .failure(.connectionLost): session.close()
            }
        }
    }

    /// From another connection than the one that is to hear it; one to a primary.
    private func send(probe token: String) {
        var parameters = Parameters()
        parameters.append(schema.text)
        parameters.append(token)
        let sender = reader.isOnStandby ? announcer.requester : reader
        // Where the reader's next connection is to a standby, which refuses it, another sends the next probe.
        sender.send(
            [(statements.notify, parameters)],
            deadline: .now + readDeadline,
            finalStates: [SQLState.readOnly]
        ) { [weak self] result in
            switch result {
            case .success:
                self?.act { machine in
                    machine.probeTaken(token, at: .now)
                    return []
                }
            case .failure(let error) where error.code == .closed: break
            case .failure(let error):
                self?.logger.warning("a probe could not be sent", metadata: ["reason": "\(error.message)"])
                self?.act { $0.probeFailed(token, sqlState: error.sqlState, at: .now) }
            }
        }
    }
}
