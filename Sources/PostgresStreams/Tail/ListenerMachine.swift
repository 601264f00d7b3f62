/// What the listener is to do, and when: connecting, listening, probing, looking. No IO, no clock of its own.
///
/// `Listener` tells it what happens and does what it answers. What must hold: whenever tails are not known to hear,
/// they look; and nothing but a probe that arrived makes them known to hear.
///
///     start ──► connect ──► LISTEN ──► probe ──► heard: listening ──► probe, every probeInterval …
///                  ▲           │          │
///                  │           │          └── not heard in time: poll, connect anew; behind a
///                  │           │              pooler, if never heard: UNLISTEN, until it comes
///                  │           └── refused (standby, no permission): poll, ask again now and then
///                  └── lost: poll meanwhile
struct ListenerMachine {
    typealias Instant = ContinuousClock.Instant

    enum Action: Equatable {
        /// Run LISTEN on the connection.
        case listen
        /// Run UNLISTEN on it.
        case unlisten
        /// Send this from another connection.
        case probe(String)
        /// See whether something has moved.
        case look
        /// End the connection and make another.
        case reconnect
        /// Make the server forget notifications that nobody will read.
        case clearQueue
    }

    /// What is shown to the user.
    enum Shown: Equatable {
        case idle
        case listening
        case polling(ListeningState.Reason)
        case reconnecting(ListeningState.Reason)
    }

    private struct Probe {
        var token: String
        var sentAt: Instant
        /// The server has taken it: from here on it must arrive in time.
        var takenAt: Instant?
        var isOverdue = false
    }

    private let options: ListeningOptions
    private(set) var shown = Shown.idle
    private(set) var isStarted = false
    private var isConnected = false
    /// LISTEN was answered on the connection there is.
    private var hasListened = false
    /// The connection there is goes through a pooler. One in session mode delivers notifications; one in transaction mode
    /// takes LISTEN, never delivers, and leaves it behind on a connection of its own.
    private var isBehindPooler = false
    /// A probe arrived on the connection there is.
    private var hasHeard = false
    /// The connection there is may be read over: a probe arrived, and nothing has spoken against it since. A probe that
    /// could not be sent does not: that was another connection's fault.
    private(set) var isTrusted = false
    /// Why it is no use on the connection there is.
    private var obstacle: ListeningState.Reason?
    private var probe: Probe?
    /// The probe for which LISTEN was taken back. It may only be late.
    private var missed: String?
    /// Until when what was asked on the connection itself must be answered, in the order it was asked.
    private var questions: [Instant] = []
    private var nextProbe: Instant?
    private var nextListen: Instant?
    private var nextLook: Instant?
    /// Why the connection is being ended, where that was us.
    private var resetReason: ListeningState.Reason?
    /// Connections in a row on which a probe was missed.
    private var misses = 0
    private var lastActivity = Instant.now
    private var isQuiet = false
    /// The connection that reads is to a standby: what is notified may not be there yet.
    var readsFromStandby = false

    static let probePrefix = "probe:"
    /// How long after the last event looks begin to become rarer.
    private static let liveliness = Duration.seconds(10)

    init(_ options: ListeningOptions) { self.options = options.spaced }

    // MARK: Tails come and go

    /// Returns whether a connection is to be made.
    mutating func start(at now: Instant) -> Bool {
        lastActivity = now
        guard !isStarted else {
            if isQuiet { nextLook = now }
            return false
        }
        isStarted = true
        shown = .reconnecting(.starting)
        nextLook = now + options.pollInterval
        return true
    }

    /// Returns whether the connection is to be given back.
    mutating func stop() -> Bool {
        defer { self = ListenerMachine(options) }
        return isStarted
    }

    /// Events come: they may go on coming.
    mutating func noteActivity(at now: Instant) {
        lastActivity = now
        guard isStarted, shown != .listening || readsFromStandby else { return }
        nextLook = min(nextLook ?? now, now + (isQuiet ? .zero : options.pollInterval))
    }

    // MARK: The connection

    mutating func connected(isBehindPooler: Bool, isStandby: Bool, at now: Instant) -> [Action] {
        isConnected = true
        self.isBehindPooler = isBehindPooler
        guard options.isEnabled else { return poll(.turnedOff, at: now) }
        guard !isStandby else { return poll(.standby, askingAgainAt: now + options.probeInterval, at: now) }
        // Which kind of pooler it is, a probe tells.
        return [.listen] + (isBehindPooler ? poll(.pooler, at: now) : [])
    }

    /// Not yet `listening`: that takes a probe that arrives. Until then we look.
    mutating func listened(at now: Instant) -> [Action] {
        hasListened = true
        obstacle = isBehindPooler ? .pooler : nil
        nextListen = nil
        nextProbe = now
        nextLook = now
        return tick(at: now)
    }

    mutating func listenRefused(sqlState: String, at now: Instant) -> [Action] {
        let reason: ListeningState.Reason =
            switch sqlState {
            case "42501": .noPermission
            case "25006": .standby
            default: .refused
            }
        // A standby may be promoted, a right granted.
        return poll(reason, askingAgainAt: now + options.probeInterval, at: now)
    }

    /// How long to leave the connection ended; nil: for good, nobody tails.
    ///
    /// - Parameter message: nil where it was not lost but given back, and somebody tails again.
    mutating func lost(_ message: String?, at now: Instant) -> (pause: Duration?, actions: [Action]) {
        isConnected = false
        hasListened = false
        hasHeard = false
        isTrusted = false
        obstacle = nil
        probe = nil
        missed = nil
        questions = []
        nextProbe = nil
        nextListen = nil
        let reason = resetReason ?? message.map { .connectionLost($0) } ?? .starting
        resetReason = nil
        guard isStarted else { return (nil, []) }
        // A connection would wake the server that has just gone to sleep.
        if isQuiet { return (options.quietInterval, []) }
        shown = .reconnecting(reason)
        nextLook = now
        // Deaf again and again: what is in between does not change in a second.
        let pause = misses < 2 ? .zero : min(.seconds(60), .seconds(1) * (1 << min(misses, 6)))
        return (pause, tick(at: now))
    }

    private mutating func poll(
        _ reason: ListeningState.Reason,
        askingAgainAt time: Instant? = nil,
        at now: Instant
    ) -> [Action] {
        obstacle = reason
        isTrusted = false
        probe = nil
        nextProbe = nil
        nextListen = time
        nextLook = now
        if !isQuiet { shown = .polling(reason) }
        return tick(at: now)
    }

    // MARK: Probes

    /// A notification that says it is a probe: ours, another process's, or anybody's.
    mutating func heard(_ token: String, at now: Instant) -> [Action] {
        if token == missed {
            // So the pooler does hand them on.
            missed = nil
            return [.listen]
        }
        guard probe?.token == token else { return [] }
        probe = nil
        hasHeard = true
        isTrusted = true
        obstacle = nil
        misses = 0
        nextProbe = now + options.probeInterval
        if shown != .listening { nextLook = now + lookInterval(at: now, isListening: true) }
        shown = .listening
        return []
    }

    /// The server has taken the probe that was sent.
    mutating func probeTaken(_ token: String, at now: Instant) {
        if probe?.token == token { probe?.takenAt = now }
    }

    /// The probe could not be sent. That says nothing about the listener's ears, but nothing proves them either.
    mutating func probeFailed(_ token: String, sqlState: String?, at now: Instant) -> [Action] {
        guard probe?.token == token else { return [] }
        probe = nil
        nextLook = now
        switch sqlState {
        case "54000":
            shown = .polling(.queueFull)
            nextProbe = now + .seconds(1)
            return [.clearQueue] + tick(at: now)
        case "42501":
            shown = .polling(.noPermission)
            nextProbe = now + options.probeInterval
        default:
            shown = .polling(.heartbeatMissed)
            nextProbe = now + options.probeTimeout
        }
        return tick(at: now)
    }

    // MARK: Questions

    /// Something was asked on the connection itself. A connection may carry what the server says and not what we say: all
    /// probes are heard on it, and what is asked is never answered.
    ///
    /// - Returns: whether `tick` is to be called sooner for it.
    mutating func asked(until time: Instant) -> Bool {
        defer { questions.append(time) }
        return questions.isEmpty && deadline.map { time < $0 } ?? true
    }

    /// The first that was asked is answered.
    mutating func answered() { if !questions.isEmpty { questions.removeFirst() } }

    // MARK: Time

    /// When to call `tick` next.
    var deadline: Instant? {
        guard isStarted else { return nil }
        var deadline = Earliest()
        deadline.consider(nextLook)
        deadline.consider(questions.first)
        if let probe {
            let begin = probe.takenAt ?? (probe.isOverdue ? nil : probe.sentAt)
            deadline.consider(begin.map { $0 + options.probeTimeout })
        }
        guard !isQuiet else { return deadline.time }
        deadline.consider(nextProbe)
        deadline.consider(nextListen)
        deadline.consider(options.idleAfter.map { lastActivity + $0 })
        return deadline.time
    }

    mutating func tick(at now: Instant) -> [Action] {
        guard isStarted else { return [] }
        var actions = changeQuiet(at: now)
        if let probe, let takenAt = probe.takenAt, takenAt + options.probeTimeout <= now {
            self.probe = nil
            nextLook = now
            if isBehindPooler, !hasHeard {
                hasListened = false
                missed = probe.token
                shown = .polling(.pooler)
                actions.append(.unlisten)
            } else {
                actions.append(giveUp(at: now))
            }
        } else if let time = questions.first, time <= now {
            actions.append(giveUp(at: now))
        } else if let probe, probe.takenAt == nil, !probe.isOverdue, probe.sentAt + options.probeTimeout <= now {
            // It is the other connection that does not answer; it has its own deadline.
            self.probe?.isOverdue = true
            shown = .polling(.heartbeatMissed)
            nextLook = now
        }
        // In quiet it waits until that is over: a server is to sleep.
        if !isQuiet, let time = nextListen, time <= now {
            nextListen = nil
            actions.append(.listen)
        }
        if !isQuiet, hasListened, probe == nil, let time = nextProbe, time <= now {
            let token = Self.probePrefix + String(UInt64.random(in: .min ... .max), radix: 16)
            probe = Probe(token: token, sentAt: now)
            nextProbe = nil
            actions.append(.probe(token))
        }
        if let time = nextLook, time <= now {
            nextLook = now + lookInterval(at: now, isListening: shown == .listening)
            actions.append(.look)
        }
        return actions
    }

    /// The connection is not what it seems.
    private mutating func giveUp(at now: Instant) -> Action {
        questions = []
        nextLook = now
        isTrusted = false
        shown = .polling(.heartbeatMissed)
        resetReason = .heartbeatMissed
        misses += 1
        return .reconnect
    }

    /// Goes to sleep, or wakes up.
    private mutating func changeQuiet(at now: Instant) -> [Action] {
        let wasQuiet = isQuiet
        isQuiet = options.idleAfter.map { now - lastActivity >= $0 } ?? false
        if isQuiet, !wasQuiet {
            probe = nil
            nextProbe = nil
            nextListen = nil
            nextLook = now + options.quietInterval
            // It may be cut off, and nobody looks.
            isTrusted = false
            shown = .polling(.quiet)
        } else if wasQuiet, !isQuiet {
            shown = obstacle.map { .polling($0) } ?? .reconnecting(.starting)
            nextLook = now
            if hasListened { nextProbe = now }
            if isConnected, obstacle != nil, obstacle != .turnedOff, obstacle != .pooler { nextListen = now }
            // It waits for the end of the long pause.
            if !isConnected { return [.reconnect] }
        }
        return []
    }

    private func lookInterval(at now: Instant, isListening: Bool) -> Duration {
        if isQuiet { return options.quietInterval }
        if isListening, !readsFromStandby { return options.checkInterval }
        let silence = now - lastActivity
        let slowest = isListening ? options.checkInterval : options.slowPollInterval
        guard silence > Self.liveliness else { return min(slowest, options.pollInterval) }
        return max(options.pollInterval, min(slowest, silence / 20))
    }
}

extension ListeningOptions {
    /// With no interval so short that the machine would have something to do all the time.
    fileprivate var spaced: ListeningOptions {
        var options = self
        let intervals: [WritableKeyPath<ListeningOptions, Duration>] = [
            \.probeInterval, \.probeTimeout, \.checkInterval, \.pollInterval, \.slowPollInterval, \.quietInterval,
        ]
        for interval in intervals { options[keyPath: interval] = max(.milliseconds(1), options[keyPath: interval]) }
        return options
    }
}
