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
    /// What was tried and what libpq said of it, in one line, as it goes to logs. Never holds the password.
    package var message: String

    package init(_ reason: Reason, sqlState: String = "", _ message: String) {
        self.reason = reason
        self.sqlState = sqlState
        // libpq has a line for each host, and goes on in another with what to look at.
        self.message = message.split(whereSeparator: \.isNewline)
            .map { $0.drop(while: \.isWhitespace) }
            .joined(separator: "; ")
    }

    package var description: String { message }
}
