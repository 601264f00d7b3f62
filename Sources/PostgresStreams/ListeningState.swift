/// How tails learn of new events just now.
public enum ListeningState: Sendable, Hashable, CustomStringConvertible {
    /// By notification; proven by a probe from another connection.
    case listening
    /// By looking, every `pollInterval`.
    case polling(Reason)
    /// The listener's connection is being made (again); meanwhile by looking.
    case reconnecting(String)
    /// Nobody tails.
    case idle

    public enum Reason: Sendable, Hashable, CustomStringConvertible {
        /// A pooler between us and the server delivers no notifications: give `listenURL` a way round it.
        case pooler
        /// A standby has no notifications.
        case standby
        /// A probe did not arrive in time.
        case heartbeatMissed
        /// The server refused LISTEN.
        case refused
        /// Listening is turned off in the configuration.
        case turnedOff

        public var description: String {
            switch self {
            case .pooler: "a pooler is in between"
            case .standby: "the server is a standby"
            case .heartbeatMissed: "the listener did not hear a probe"
            case .refused: "the server refused LISTEN"
            case .turnedOff: "listening is turned off"
            }
        }
    }

    public var description: String {
        switch self {
        case .listening: "listening"
        case .polling(let reason): "polling: \(reason)"
        case .reconnecting(let reason): "reconnecting: \(reason)"
        case .idle: "idle"
        }
    }
}
