/// Why a batch has no results, and what that says of its transaction.
package enum BatchFailure: Error, Sendable {
    /// The server refused: the transaction is rolled back, the session goes on.
    case refused(ServerMessage)
    /// The connection went away, or was never there. If it was `sent`, whether it happened is unknown.
    case connectionLost(ConnectionFailure, sent: Bool)
}
