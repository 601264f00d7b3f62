import Dispatch
import LibPQ
import Logging
import Synchronization

/// A connection that is made again whenever it is lost, for one owner: an appender's line, a requester or the listener.
///
/// It connects, asks the server who it is, refuses one that is not fit, and tells its owner when there is a session to
/// use. When the session ends it asks the owner whether to go on, and waits a little longer each time. It never queues
/// and never repeats anything: what is to be done again only the owner knows.
final class Link: Sendable {
    enum Event: Sendable {
        case ready(Session, Greeting)
        case notification(Notification)
        case timer
        /// There is no session (any more).
        case lost(JournalError)
        /// The same, by the owner's own doing: nothing is wrong. The error is for what was under way.
        case left(JournalError)
    }

    /// Called on the session's thread; that there is none, on the thread that tried to start one. The answer to `lost` and
    /// `left` is whether to connect again; any other is not looked at.
    typealias Owner = @Sendable (Event) -> Bool

    struct Options: Sendable {
        var session: SessionOptions
        var statements: Statements
        var schema: SchemaName
        /// The version in which the journal must be there. Nil: it is not asked for, as by who only listens.
        var schemaVersion: Int?
        /// Only a server that takes writes will do.
        var needsPrimary = false
        /// Its owner wants to know how long the way there and back is. Costs that time thrice.
        var measuresWay = false
        var logger: Logger
        /// One of `JournalMetrics.purposes`: for the log, and what is counted.
        var purpose: String
        var metrics: JournalMetrics
    }

    private enum Phase {
        case idle
        case starting(Session)
        case ready(Session)
        /// The owner is being told that the session is lost. Until it knows there is no other: it would take the loss of
        /// the one for that of the next, and never use it.
        case losing
        case closed
    }

    private struct State {
        var phase = Phase.idle
        /// Somebody asked for a session while the owner was being told: after which pause.
        var wanted: Duration?
        /// Another attempt is to come, though there is no session to keep the time.
        var isRetrying = false
        var reconnection = Reconnection()
        /// Why the session was given up, where that was us.
        var reason: JournalError?
        var isGivenBack = false
        /// A session was lost, or could not be made, and there has been none since.
        var isOut = false
        /// The owner's.
        var timer: ContinuousClock.Instant?
        /// When the session is given up that is connected, and has not said who it is. Nobody else would: the owner has
        /// nothing under way on a session that it was not given.
        var greetingDeadline: ContinuousClock.Instant?

        /// The session there is, or is to be.
        var session: Session? {
            switch phase {
            case .starting(let session), .ready(let session): session
            case .idle, .losing, .closed: nil
            }
        }

        /// What the session is to ring for.
        var nextTime: ContinuousClock.Instant? { [timer, greetingDeadline].compactMap(\.self).min() }
    }

    private let state = Mutex(State())
    private let options: Options
    private let owner: Owner

    init(_ options: Options, owner: @escaping Owner) {
        self.options = options
        self.owner = owner
    }

    /// So long without an answer to what is overdue: the connection is not what it seems.
    static let longestSilence = Duration.seconds(10)

    /// The session, while there is one to use.
    var session: Session? {
        state.withLock { if case .ready(let session) = $0.phase { session } else { nil } }
    }

    /// Connects, unless it is connected or at it; after a pause, which `reset` ends.
    func start(after pause: Duration = .zero) {
        let failed: Bool = state.withLock { state in
            if case .losing = state.phase { state.wanted = min(pause, state.wanted ?? pause) }
            guard case .idle = state.phase else { return false }
            let own = state.reconnection.pause
            let delay = max(pause, own)
            // What the owner pauses for says nothing of how hard a session is to get.
            state.reconnection.began(at: .now + (delay - own))
            let started = Session.start(options.session, after: delay) { [self] in handle($0, $1) }
            guard let started else {
                state.phase = .losing
                return true
            }
            started.setTimer(at: state.timer)
            state.phase = .starting(started)
            state.isGivenBack = false
            return false
        }
        guard failed else { return }
        let error = JournalError(.unreachable, "the process is out of threads or file descriptors")
        note(error)
        if let pause = lose(.lost(error)) { retry(after: pause) }
    }

    /// Where there is no session whose thread could wait.
    private func retry(after pause: Duration) {
        let delay: Duration? = state.withLock { state in
            guard !state.isRetrying else { return nil }
            state.isRetrying = true
            state.reconnection.ended(at: .now)
            return state.reconnection.pause
        }
        guard let delay else { return }
        let start: @Sendable () -> Void = { [weak self] in
            self?.state.withLock { $0.isRetrying = false }
            // Its thread keeps the rest of the pause, and hears when that is cut short.
            self?.start(after: pause)
        }
        if !runAfter(delay, start) {
            DispatchQueue.global().asyncAfter(deadline: .now() + delay.milliseconds / 1000, execute: start)
        }
    }

    /// Tells the owner, and asks whether to go on.
    ///
    /// - Returns: after which pause to connect again, at least; nil: not now.
    private func lose(_ event: Event) -> Duration? {
        let goesOn = owner(event)
        return state.withLock { state in
            guard case .losing = state.phase else { return nil }
            state.phase = .idle
            defer { state.wanted = nil }
            return goesOn ? .zero : state.wanted
        }
    }

    /// Asks for a `timer` event at `time`, or for none, whether or not there is a session to use by then. Nothing rings
    /// while the link is not started.
    func setTimer(at time: ContinuousClock.Instant?) {
        state.withLock { state in
            state.timer = time
            state.session?.setTimer(at: state.nextTime)
        }
    }

    /// Ends the session that does not answer, or the pause before there is one; the owner is told, and asked whether to go
    /// on.
    func reset() { state.withLock { end(&$0) } }

    /// The same where it is still this session. There may be another by now, which has done nothing.
    func reset(ifStill session: Session) {
        state.withLock { state in
            if state.session === session { end(&state) }
        }
    }

    private func end(_ state: inout State) {
        if case .ready = state.phase { state.reason = silence("did not answer; connecting anew") }
        state.session?.close()
    }

    /// The same with a session that nobody needs any more: nothing is wrong with it.
    func giveBack() {
        state.withLock { state in
            state.isGivenBack = true
            state.session?.close()
        }
    }

    private func silence(_ what: String) -> JournalError {
        JournalError(.unreachable, "\(options.session.target) \(what)")
    }

    /// Ends the session for good; the owner is told once more where there was one.
    func close() {
        let session: Session? = state.withLock { state in
            defer { state.phase = .closed }
            return state.session
        }
        session?.close()
    }

    // MARK: On the session's thread

    private func handle(_ session: Session, _ event: Session.Event) {
        switch event {
        case .connected(let info): greet(session, info)
        case .notification(let notification): _ = owner(.notification(notification))
        case .timer: rang(session)
        case .ended(let failure): ended(JournalError(failure))
        }
    }

    private func rang(_ session: Session) {
        let (isSilent, isOwners): (Bool, Bool) = state.withLock { state in
            let now = ContinuousClock.now
            let isSilent = state.greetingDeadline.map { $0 <= now } ?? false
            if isSilent {
                state.greetingDeadline = nil
                state.reason = silence("took the connection and then did not answer")
            }
            let isOwners = state.timer.map { $0 <= now } ?? false
            if isOwners { state.timer = nil }
            session.setTimer(at: state.nextTime)
            return (isSilent, isOwners)
        }
        if isSilent { session.close() }
        if isOwners { _ = owner(.timer) }
    }

    private func greet(_ session: Session, _ info: ConnectionInfo) {
        awaitGreeting(of: session)
        session.submit([
            Batch(Greeting.questions(options)) { [self] outcome in
                greeted(session, Greeting.of(outcome, info, options))
            }
        ])
    }

    private func greeted(_ session: Session, _ greeting: Result<Greeting, JournalError>) {
        switch greeting {
        case .failure(let error):
            state.withLock { state in
                state.greetingDeadline = nil
                // Closed by us, it has one.
                state.reason = state.reason ?? error
            }
            session.close()
        case .success(let greeting):
            if !greeting.isBehindPooler {
                session.goAhead()
                session.usePreparedStatements()
            }
            if options.measuresWay { measureWay(of: session, greeting, times: 3) } else { prepare(session, greeting) }
        }
    }

    /// What a batch takes that asks for nothing, before there are others to wait for; of several the least. One that is
    /// refused, or has to wait, says that this is not the time to measure.
    private func measureWay(of session: Session, _ greeting: Greeting, times count: Int) {
        guard count > 0 else { return prepare(session, greeting) }
        awaitGreeting(of: session)
        // A pooler has a server only for what is run.
        let nothing: [Batch.Command] =
            greeting.isBehindPooler ? [(Statement(name: "", sql: "select"), Parameters())] : []
        let sentAt = ContinuousClock.now
        session.submit([
            Batch(nothing) { [self] outcome in
                switch outcome {
                case .failure(.connectionLost): break
                case .failure(.refused): prepare(session, greeting)
                case .success:
                    let duration = .now - sentAt
                    let way = greeting.isBehindPooler ? max(.zero, duration - Self.poolersShare) : duration
                    var greeting = greeting
                    greeting.way = min(way, greeting.way ?? way)
                    measureWay(of: session, greeting, times: duration < Self.longestWay ? count - 1 : 0)
                }
            }
        ])
    }

    /// What a pooler and a statement that it passes on take of the way, at least, where all are on one machine.
    private static let poolersShare = Duration.microseconds(300)
    /// Around the earth it takes less.
    private static let longestWay = Duration.seconds(1)

    /// Gives the session up where the next answer does not come in time.
    private func awaitGreeting(of session: Session) {
        state.withLock { state in
            state.greetingDeadline = .now + options.session.connectTimeout
            session.setTimer(at: state.nextTime)
        }
    }

    /// Before anything of the owner's. A pooler would hand the settings on to others.
    private func prepare(_ session: Session, _ greeting: Greeting) {
        if greeting.isBehindPooler { return ready(session, greeting) }
        var settings = [options.statements.planning]
        if greeting.isolation != "read committed" { settings.append(options.statements.readCommitted) }
        session.submit(settings.map { Batch([($0, Parameters())]) { _ in } })
        ready(session, greeting)
    }

    private func ready(_ session: Session, _ greeting: Greeting) {
        let (isWanted, wasOut): (Bool, Bool) = state.withLock { state in
            state.greetingDeadline = nil
            guard case .starting = state.phase else { return (false, false) }
            state.phase = .ready(session)
            state.reconnection.succeeded(at: .now)
            defer { state.isOut = false }
            return (true, state.isOut)
        }
        guard isWanted else { return session.close() }
        options.logger.log(
            level: wasOut ? .info : .debug,
            wasOut ? "connected again" : "connected",
            metadata: [
                "purpose": "\(options.purpose)", "server": "\(greeting.info.place)",
                "version": "\(greeting.info.serverVersion)", "pooler": "\(greeting.isBehindPooler)",
            ]
        )
        _ = owner(.ready(session, greeting))
    }

    private func ended(_ error: JournalError) {
        let (reason, isClosed): (JournalError, Bool) = state.withLock { state in
            if state.isGivenBack { state.reconnection = Reconnection() } else { state.reconnection.ended(at: .now) }
            state.greetingDeadline = nil
            defer { (state.reason, state.isGivenBack) = (nil, false) }
            if case .closed = state.phase { return (error, true) }
            state.phase = .losing
            return (state.reason ?? error, false)
        }
        if isClosed {
            _ = lose(.left(.closed))
        } else if reason.code == .closed {
            // By its owner, who knows why. Nothing was closed for good, and nobody must be told so.
            if let pause = lose(.left(silence("is connected to anew"))) { start(after: pause) }
        } else {
            note(reason)
            if let pause = lose(.lost(reason)) { start(after: pause) }
        }
    }

    /// The first failure of an outage is news, the others are not.
    private func note(_ reason: JournalError) {
        let isFirst = state.withLock { state in
            defer { state.isOut = true }
            return !state.isOut
        }
        options.metrics.connectionLost(options.purpose)
        options.logger.log(
            level: isFirst ? .info : .debug,
            "no connection",
            metadata: ["purpose": "\(options.purpose)", "reason": "\(reason.message)"]
        )
    }
}

extension Link.Options {
    /// Of a connection that reads; the journal must be there.
    init(_ configuration: JournalConfiguration, _ schema: SchemaName) {
        var session = configuration.session(to: configuration.databaseURL)
        session.defaults = ConnectionDefaults.primary(configuration.databaseURL)
        session.overrides = configuration.applicationName.map { [("application_name", $0)] } ?? []
        session.busyWait = configuration.busyWait
        self.init(
            session: session,
            statements: Statements(schema: schema),
            schema: schema,
            schemaVersion: Migrator.knownVersion,
            logger: configuration.logger,
            purpose: "read",
            metrics: JournalMetrics(configuration)
        )
    }
}
