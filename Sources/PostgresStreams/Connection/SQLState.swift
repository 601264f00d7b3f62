import LibPQ

/// What an SQLSTATE says of trying again (PostgreSQL's appendix A).
enum SQLState {
    /// Of shared memory too, where the locks are: `max_locks_per_transaction` times `max_connections` of them.
    static let outOfMemory = "53200"

    /// Somebody held a lock for longer than we may wait.
    static let lockNotAvailable = "55P03"

    static let queryCanceled = "57014"

    /// Too much of something that the server has in a fixed size, the notification queue among it.
    static let programLimitExceeded = "54000"

    static let readOnly = "25006"

    /// A statement after the one that failed.
    static let inFailedTransaction = "25P02"

    static let insufficientPrivilege = "42501"

    static let undefinedTable = "42P01"

    static let invalidSchemaName = "3F000"

    /// Somebody has taken the position, at the same moment.
    static let uniqueViolation = "23505"

    /// A disk or file system that the server cannot read or write just now; network storage comes back.
    static let ioError = "58030"

    /// The statement failed for a reason that passes: the same one may succeed, on this session.
    static func isWorthRetrying(_ state: String) -> Bool {
        switch state {
        // Serialization failure, deadlock, lock not available, unique violation (of a row that another transaction
        // committed after our snapshot was taken).
        case "40001", "40P01", lockNotAvailable, uniqueViolation: true
        // A time-out set by the operator, or an operator's hand.
        case queryCanceled: true
        case ioError: true
        case _ where isMixUp(state): true
        // Out of some resource: disk, memory, connections.
        default: state.hasPrefix("53")
        }
    }

    /// Serialization failure, deadlock: what PostgreSQL asks to run again as a whole.
    static func asksForRetry(_ state: String) -> Bool { state == "40001" || state == "40P01" }

    /// It passes, but one of several appends may be why all are refused: somebody holds its stream's lock, so many locks are
    /// too many for the server's table of them, or a block that it needs is bad. Alone each waits for its own only, and needs
    /// the least.
    static func mayBeOnesFault(_ state: String) -> Bool {
        [lockNotAvailable, queryCanceled, outOfMemory, ioError].contains(state)
    }

    /// The server, or a pooler, gives the connection up, and what was sent last may have been committed or not.
    static func leavesOutcomeOpen(_ state: String) -> Bool { state.hasPrefix("57P") || state.hasPrefix("08") }

    /// This server will not do, another behind the same connection string may: read-only, shutting down.
    static func needsReconnect(_ state: String) -> Bool {
        state == readOnly || leavesOutcomeOpen(state)
    }

    /// The connection's prepared statements are not ours: a pooler gave us another session, or somebody deallocated them.
    /// The session prepares none from there on.
    static func isMixUp(_ state: String) -> Bool { Session.mixUpStates.contains(state) }
}
