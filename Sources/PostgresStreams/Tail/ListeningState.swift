#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// How tails learn of new events just now.
public enum ListeningState: Sendable, Hashable, CustomStringConvertible {
    /// By notification; proven by a probe from another connection.
    case listening
    /// By looking, see `ListeningOptions.pollInterval`.
    case polling(Reason)
    /// The listener's connection is being made (again) since then; meanwhile by looking.
    case reconnecting(since: Date, Reason)
    /// Nobody tails.
    case idle

    /// Why tails do not learn by notification.
    public enum Reason: Sendable, Hashable, CustomStringConvertible {
        /// The first connection is being made, or the first probe is on its way.
        case starting
        /// The connection was lost or could not be made; what libpq or the server said of it.
        case connectionLost(String)
        /// A probe did not arrive in time, or could not be sent: the connection may be dead without a word.
        case heartbeatMissed
        /// A pooler between us and the server delivers no notifications, as in transaction mode, or has not been seen to:
        /// give `listenURL` a way round it.
        case pooler
        /// A standby has no notifications: name the primary among the hosts.
        case standby
        /// The role may not LISTEN, or not call `pg_notify`, without which nothing proves that we hear.
        case noPermission
        /// The server's notification queue is full: some session listens and does not read. Nobody can notify.
        case queueFull
        /// The server knows no LISTEN.
        case refused
        /// Listening is turned off in the configuration.
        case turnedOff
        /// Nothing has happened for `ListeningOptions.idleAfter`: the server is left alone, so that it can go to sleep.
        case quiet

        public var description: String {
            switch self {
            case .starting: "starting"
            case .connectionLost(let message): message
            case .heartbeatMissed: "a probe did not arrive"
            case .pooler: "a pooler is in between; give a URL round it for listening"
            case .standby: "the server is a standby; name the primary too"
            case .noPermission: "the role may not LISTEN and NOTIFY"
            case .queueFull: "the server's notification queue is full: some session listens and does not read"
            case .refused: "the server refused LISTEN"
            case .turnedOff: "listening is turned off"
            case .quiet: "nothing has happened for a while; the server is left to sleep"
            }
        }
    }

    /// Whether something keeps tails from learning by notification. Not while the first connection is made, nor where they
    /// are to leave the server alone, nor where nobody tails.
    var isTroubled: Bool {
        switch self {
        case .listening, .idle, .reconnecting(_, .starting), .polling(.quiet): false
        case .polling, .reconnecting: true
        }
    }

    public var description: String {
        switch self {
        case .listening: "listening"
        case .polling(let reason): "polling: \(reason)"
        case .reconnecting(_, let reason): "reconnecting: \(reason)"
        case .idle: "idle"
        }
    }
}
