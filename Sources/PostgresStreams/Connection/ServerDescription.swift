/// The server a journal found, as of its first connection.
public struct ServerDescription: Sendable, Hashable, CustomStringConvertible {
    /// `host:port`, or the path of the unix socket.
    public let place: String
    /// As `server_version_num`: 150004 is 15.4.
    public let version: Int
    /// It follows a primary: reads and tails work, appends do not.
    public let isStandby: Bool
    /// Transactions are read-only there: on a standby, or by `default_transaction_read_only`. Reads and tails work, appends do
    /// not.
    public let isReadOnly: Bool
    /// A pooler runs our statements on connections of its own choice, so that listening does not work through it.
    public let isBehindPooler: Bool
    public let isEncrypted: Bool

    init(_ greeting: Greeting) {
        place = greeting.info.place
        version = greeting.info.serverVersion
        isStandby = greeting.isInRecovery
        isReadOnly = greeting.isReadOnly
        isBehindPooler = greeting.isBehindPooler
        isEncrypted = greeting.info.isEncrypted
    }

    public var description: String {
        "PostgreSQL \(version / 10_000).\(version % 10_000) at \(place)"
            + (isStandby ? ", a standby" : isReadOnly ? ", read-only" : "")
            + "\(isBehindPooler ? ", behind a pooler" : "")\(isEncrypted ? ", encrypted" : "")"
    }
}
