import Logging

/// At which level a change of `ListeningState` is logged: trouble and its end are news, that tails begin, nap and end is
/// not. No IO.
struct ListeningLog {
    /// What the library logs a change under.
    static let message = "how tails learn of events has changed"

    private typealias Reason = ListeningState.Reason

    /// What was last said to keep tails from hearing; nil where nothing does.
    private var trouble: Reason?

    mutating func level(of state: ListeningState) -> Logger.Level {
        switch state {
        case .idle, .reconnecting(_, .starting), .polling(.quiet): return .debug
        case .listening:
            defer { trouble = nil }
            return trouble == nil ? .debug : .info
        case .polling(let reason), .reconnecting(_, let reason):
            defer { trouble = reason }
            guard trouble.map({ !$0.isLike(reason) }) ?? true else { return .debug }
            guard case .polling = state else { return .info }
            return [.heartbeatMissed, .queueFull, .noPermission, .refused].contains(reason) ? .warning : .info
        }
    }
}

extension ListeningState {
    /// For who says it in another way.
    package static var logMessage: String { ListeningLog.message }
}

extension ListeningState.Reason {
    /// Whether it is the same kind. What is said of a connection changes from attempt to attempt.
    fileprivate func isLike(_ other: Self) -> Bool {
        if case .connectionLost = self, case .connectionLost = other { true } else { self == other }
    }
}
