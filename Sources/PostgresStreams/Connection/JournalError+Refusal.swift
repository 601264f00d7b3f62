import LibPQ

extension JournalError {
    /// The server refused for a reason that passes, and did so until the deadline.
    ///
    /// Where the reason is a lock it says so itself: the server's words for it speak of a time-out, which is ours.
    ///
    /// - Parameters:
    ///   - server: who refused.
    ///   - isOfHeldStream: the lock that what was refused waited for is one stream's.
    static func refusedUntilDeadline(
        _ refusal: ServerMessage,
        by server: String = "the server",
        ofHeldStream isOfHeldStream: Bool = false
    ) -> JournalError {
        refusedUntilDeadline("\(refusal)", sqlState: refusal.sqlState, by: server, ofHeldStream: isOfHeldStream)
    }

    /// The same, in words for the refusal.
    static func refusedUntilDeadline(
        _ refusal: String,
        sqlState: String,
        by server: String = "the server",
        ofHeldStream isOfHeldStream: Bool = false
    ) -> JournalError {
        let what =
            switch (sqlState, isOfHeldStream) {
            case (SQLState.lockNotAvailable, true): "another transaction held the stream until the deadline"
            case (SQLState.lockNotAvailable, false): "a lock was not to be had by the deadline"
            default: "\(server) refused until the deadline"
            }
        var error = JournalError(.unreachable, "\(what): \(refusal)")
        error.sqlState = sqlState
        return error
    }
}
