@testable import PostgresStreams

/// A machine, the time it is, and what it says in short.
struct ListenerTranscript {
    var machine: ListenerMachine
    var now = ContinuousClock.now
    private var token = ""
    private var actions: [String] = []

    init(_ change: (inout ListeningOptions) -> Void = { _ in }) {
        var options = ListeningOptions()
        change(&options)
        machine = ListenerMachine(options)
    }

    static func listening(_ change: (inout ListeningOptions) -> Void = { _ in }) -> ListenerTranscript {
        var log = ListenerTranscript(change)
        _ = log.start()
        _ = log.connected()
        _ = log.listened()
        log.hear()
        return log
    }

    mutating func start() -> String { machine.start(at: now) ? "connect" : "" }

    mutating func stop() -> String { machine.stop() ? "disconnect" : "" }

    mutating func connected(pooler: Bool = false, standby: Bool = false) -> String {
        text(machine.connected(isBehindPooler: pooler, isStandby: standby, at: now))
    }

    mutating func listened() -> String { text(machine.listened(at: now)) }

    mutating func listenRefused(_ state: String) -> String { text(machine.listenRefused(sqlState: state, at: now)) }

    mutating func lost(_ message: String) -> String {
        let (pause, actions) = machine.lost(message, at: now)
        return "\(pause.map(Self.seconds) ?? "nil"): \(text(actions))"
    }

    /// Our probe arrives.
    @discardableResult
    mutating func hear() -> String { text(machine.heard(token, at: now)) }

    /// The server took our probe.
    mutating func taken() { machine.probeTaken(token, at: now) }

    mutating func probeFailed(_ state: String?) -> String { text(machine.probeFailed(token, sqlState: state, at: now)) }

    /// - Returns: whether it is to be looked after sooner than anything else.
    @discardableResult
    mutating func ask(within seconds: Int) -> Bool { machine.asked(until: now + .seconds(seconds)) }

    mutating func answer() { machine.answered() }

    mutating func tick() -> String { text(machine.tick(at: now)) }

    /// Lets the time pass until there is something to do: how long that was, and what it is.
    mutating func wait() -> String {
        guard let deadline = machine.deadline else { return "for ever" }
        let passed = max(.zero, deadline - now)
        now = max(now, deadline)
        return "\(Self.seconds(passed)): \(tick())"
    }

    /// Whether it was among the last things to do.
    func saw(_ action: String) -> Bool { actions.contains(action) }

    var sawProbe: Bool { saw("probe") }

    private mutating func text(_ actions: [ListenerMachine.Action]) -> String {
        self.actions = actions.map { action in
            switch action {
            case .listen: return "listen"
            case .unlisten: return "unlisten"
            case .probe(let sent):
                token = sent
                return "probe"
            case .look: return "look"
            case .reconnect: return "reconnect"
            case .clearQueue: return "clear"
            }
        }
        return self.actions.joined(separator: " ")
    }

    private static func seconds(_ duration: Duration) -> String {
        let hundredths = Int((duration / .milliseconds(10)).rounded())
        return hundredths.isMultiple(of: 10)
            ? "\(hundredths / 100).\(hundredths / 10 % 10)" : "\(Double(hundredths) / 100)"
    }
}
