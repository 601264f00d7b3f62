/// Why a connection could not be made, or ended.
package struct ConnectionFailure: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Reason: Sendable, Equatable {
        /// The connection string is no connection string.
        case invalidConnectionString
        case timedOut
        /// The server (or a pooler) answered, and said no.
        case refused
        /// No network, nobody there, cut off.
        case network
        /// Closed by us.
        case closed
    }

    package var reason: Reason
    /// The SQLSTATE, where the server gave one.
    package var sqlState: String
    /// What was tried and what libpq said of it. Never holds the password.
    package var message: String

    package init(_ reason: Reason, sqlState: String = "", _ message: String) {
        self.reason = reason
        self.sqlState = sqlState
        self.message = message
    }

    package var description: String { message }
}
