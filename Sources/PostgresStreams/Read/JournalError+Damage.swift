/// What is wrong with a log that was read.
extension JournalError {
    /// - Parameters:
    ///   - stream: whose events were read up to this position, and it is not there.
    static func damaged(_ stream: StreamName, at position: Int) -> JournalError {
        JournalError(
            .logDamaged,
            "stream \(stream): position \(position) is missing, and there are events behind it; "
                + "`durable-streams verify` says how many are gone"
        )
    }

    /// - Parameters:
    ///   - stream: whose positions from `first` on were read, and are not one after the other.
    static func damaged(_ stream: StreamName, from first: Int) -> JournalError {
        JournalError(
            .logDamaged,
            "stream \(stream): from position \(first) on events are missing, and there are others behind them; "
                + "`durable-streams verify` says where"
        )
    }
}
