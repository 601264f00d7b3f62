/// Statements that are sent together and end with a sync: one transaction (unless they say otherwise), one outcome.
package struct Batch: Sendable {
    package struct Command: Sendable {
        var statement: Statement
        var parameters: Parameters
    }

    /// What became of a batch. Called once, on the session's thread, outside its lock.
    package typealias Completion = @Sendable (Result<[QueryResult], BatchFailure>) -> Void

    var commands: [Command]
    package private(set) var completion: Completion
    /// Whoever gets the answer is likely to send the next batch at once, and to wait for that one too.
    var expectsAnother = false

    package init(
        _ commands: [(Statement, Parameters)],
        expectsAnother: Bool = false,
        completion: @escaping Completion
    ) {
        self.commands = commands.map { Command(statement: $0.0, parameters: $0.1) }
        self.completion = completion
        self.expectsAnother = expectsAnother
    }

    /// The same statements, with somebody else to tell.
    package func completing(_ completion: @escaping Completion) -> Batch {
        var batch = self
        batch.completion = completion
        return batch
    }
}

/// Why a batch has no results, and what that says of its transaction.
package enum BatchFailure: Error, Sendable {
    /// The server refused: the transaction is rolled back, the session goes on.
    case refused(ServerMessage)
    /// The connection went away, or was never there. If it was `sent`, whether it happened is unknown.
    case connectionLost(ConnectionFailure, sent: Bool)
}

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
