import LibPQ
import Logging
import Metrics
import Synchronization

/// The one connection of a journal that listens, and the proof that it hears.
///
/// It passes notifications on as hints, and says "look at everything" whenever hints may have been missed: after every
/// LISTEN, every `checkInterval`, and every `pollInterval` while it cannot listen. A probe, a NOTIFY from another
/// connection, must arrive in time; if not, it polls at once and connects anew.
final class Listener: Sendable {
    enum Hint: Sendable {
        /// The payload of a notification: digests of names, with commas between. From anybody, so perhaps nonsense.
        case streams(String)
        case everything
    }

    private struct State {
        var listening = ListeningState.idle
        var isStarted = false
        var isClosed = false
        var probe: (token: String, sentAt: ContinuousClock.Instant)?
        var nextProbe: ContinuousClock.Instant?
        var nextLook: ContinuousClock.Instant?
        var hint: (@Sendable (Hint) -> Bool)?
        var observers: [Int: AsyncStream<ListeningState>.Continuation] = [:]
        var observerCount = 0
    }

    private let state = Mutex(State())
    private let link = Mutex<Link?>(nil)
    private let reader: Requester
    private let options: ListeningOptions
    private let notify: Statement
    private let channel: String
    private let logger: Logger
    private let gauge = Gauge(label: "durable_streams_listening")

    init(_ configuration: JournalConfiguration, _ schema: SchemaName, _ base: Link.Options, reader: Requester) {
        options = configuration.listening
        self.reader = reader
        notify = base.statements.notify
        channel = schema.text
        logger = configuration.logger
        var linkOptions = base
        linkOptions.purpose = "listen"
        linkOptions.schemaVersion = nil
        if let url = configuration.listenURL {
            linkOptions.session.connectionString = url
            linkOptions.session.defaults = ConnectionDefaults.primary(url)
        }
        let link = Link(linkOptions) { [weak self] event in self?.handle(event) ?? false }
        self.link.withLock { $0 = link }
    }

    deinit { link.withLock { $0?.close() } }

    private var connection: Link? { link.withLock { $0 } }

    /// Who is told of hints, and answers whether anybody waits for events.
    func onHint(_ body: @escaping @Sendable (Hint) -> Bool) { state.withLock { $0.hint = body } }

    // MARK: Starting and stopping

    /// Somebody tails.
    func start() {
        let isFirst = state.withLock { state in
            defer { state.isStarted = true }
            return !state.isStarted && !state.isClosed
        }
        guard isFirst else { return }
        change(to: .reconnecting("starting"))
        connection?.start()
    }

    /// Nobody tails any more: the connection is given back.
    func stop() {
        let wasStarted = state.withLock { state in
            defer { state.isStarted = false }
            return state.isStarted
        }
        if wasStarted { connection?.reset() }
    }

    func close() {
        let observers = state.withLock { state in
            state.isClosed = true
            state.isStarted = false
            defer { state.observers = [:] }
            return Array(state.observers.values)
        }
        for observer in observers { observer.finish() }
        connection?.close()
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
            continuation.yield(state.listening)
            if state.isClosed { continuation.finish() }
            return state.observerCount
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.observers[id] = nil } }
        return stream
    }

    private func change(to listening: ListeningState) {
        let observers: [AsyncStream<ListeningState>.Continuation]? = state.withLock { state in
            guard state.listening != listening else { return nil }
            state.listening = listening
            return Array(state.observers.values)
        }
        guard let observers else { return }
        gauge.record(listening == .listening ? 1 : 0)
        logger.info("tails", metadata: ["state": "\(listening)"])
        for observer in observers { observer.yield(listening) }
    }

    // MARK: The connection

    private func handle(_ event: Link.Event) -> Bool {
        switch event {
        case .ready(let session, let greeting): ready(session, greeting)
        case .notification(let notification): heard(notification)
        case .timer: tick()
        case .notice: break
        case .lost(let error):
            let isStarted = state.withLock { state in
                state.probe = nil
                state.nextLook = .now
                return state.isStarted
            }
            change(to: isStarted ? .reconnecting(error.message) : .idle)
            tick()
            return isStarted
        }
        return true
    }

    private func ready(_ session: Session, _ greeting: Greeting) {
        guard options.isEnabled else { return poll(.turnedOff) }
        guard !greeting.isBehindPooler else { return poll(.pooler) }
        guard !greeting.isInRecovery else { return poll(.standby) }
        let listen = Statement(name: "", sql: listenCommand)
        session.submit([
            Batch([(listen, Parameters())]) { [weak self] outcome in
                guard let self else { return }
                switch outcome {
                case .success:
                    // Not yet `listening`: that takes a probe that arrives. Until then we look.
                    state.withLock {
                        $0.nextProbe = .now
                        $0.nextLook = .now
                    }
                    tick()
                case .failure(.refused): poll(.refused)
                case .failure(.connectionLost): break
                }
            }
        ])
    }

    private var listenCommand: String {
        "listen \"" + channel.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    private func poll(_ reason: ListeningState.Reason) {
        state.withLock {
            $0.probe = nil
            $0.nextProbe = nil
            $0.nextLook = .now
        }
        change(to: .polling(reason))
        tick()
    }

    private func heard(_ notification: Notification) {
        guard notification.channel == channel else { return }
        guard notification.payload.hasPrefix(Self.probePrefix) else {
            _ = state.withLock { $0.hint }?(.streams(notification.payload))
            return
        }
        let isOurs = state.withLock { state in
            guard state.probe?.token == notification.payload else { return false }
            state.probe = nil
            state.nextProbe = .now + options.probeInterval
            return true
        }
        if isOurs {
            change(to: .listening)
            setTimer()
        }
    }

    // MARK: Time

    private static let probePrefix = "probe:"

    private func tick() {
        let now = ContinuousClock.now
        let (looks, probe, isDeaf): (Bool, String?, Bool) = state.withLock { state in
            guard state.isStarted else { return (false, nil, false) }
            var looks = false
            if let nextLook = state.nextLook, nextLook <= now {
                looks = true
                let isHearing = state.listening == .listening
                state.nextLook = now + (isHearing ? options.checkInterval : options.pollInterval)
            }
            if let probe = state.probe, probe.sentAt + options.probeTimeout <= now {
                state.probe = nil
                return (true, nil, true)
            }
            if state.probe == nil, let nextProbe = state.nextProbe, nextProbe <= now {
                let token = Self.probePrefix + String(UInt64.random(in: .min ... .max), radix: 16)
                state.probe = (token, now)
                state.nextProbe = nil
                return (looks, token, false)
            }
            return (looks, nil, false)
        }
        if isDeaf {
            logger.warning("the listener is deaf: a probe did not arrive; connecting anew")
            change(to: .polling(.heartbeatMissed))
            connection?.reset()
        }
        if looks { _ = state.withLock { $0.hint }?(.everything) }
        if let probe { send(probe) }
        setTimer()
    }

    private func send(_ probe: String) {
        var parameters = Parameters()
        parameters.append(channel)
        parameters.append(probe)
        reader.send(notify, parameters) { [weak self] result in
            guard let self, case .failure(let error) = result, error.code != .closed else { return }
            // The reader may be on a standby, or the queue full: that says nothing about the listener's ears.
            logger.warning("a probe could not be sent", metadata: ["reason": "\(error.message)"])
            state.withLock { state in
                state.probe = nil
                state.nextProbe = .now + options.probeInterval
            }
        }
    }

    private func setTimer() {
        let next = state.withLock { state in
            [state.nextLook, state.nextProbe, state.probe.map { $0.sentAt + options.probeTimeout }]
                .compactMap { $0 }.min()
        }
        connection?.setTimer(at: next)
    }
}
