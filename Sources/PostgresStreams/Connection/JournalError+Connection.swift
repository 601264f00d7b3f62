import LibPQ

extension JournalError {
    /// Why there is no connection, or no longer.
    init(_ failure: ConnectionFailure) {
        let code: Code =
            switch failure.reason {
            case .invalidConnectionString: .invalidArgument
            case .closed: .closed
            case .refused: Self.isPassing(failure) ? .unreachable : .unfit
            case .timedOut, .network: .unreachable
            }
        self.init(code, failure.message)
        if !failure.sqlState.isEmpty { sqlState = failure.sqlState }
    }

    /// Starting up, shutting down, recovering and too many clients pass; a wrong password or a missing database does not.
    /// A full PgBouncer gives the SQLSTATE of a protocol violation, and libpq none for a server of the wrong kind: there the
    /// words must do.
    private static func isPassing(_ failure: ConnectionFailure) -> Bool {
        if SQLState.isWorthRetrying(failure.sqlState) || failure.sqlState.hasPrefix("57P") { return true }
        return [
            "starting up", "shutting down", "in recovery", "recovery mode", "not yet accepting", "too many",
            "remaining connection slots", "no more connections allowed", "max_user", "max_db", "max clients",
            "cannot connect now", "server_login_retry", "session is read-only", "session is not read-only",
        ]
        .contains { failure.message.contains($0) }
    }
}
