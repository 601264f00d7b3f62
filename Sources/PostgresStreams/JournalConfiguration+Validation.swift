import LibPQ

extension JournalConfiguration {
    /// Refuses a property that is out of its range, and says which.
    func validate() throws(JournalError) {
        // The other's is found where it is connected to; without this one tails would poll for ever.
        if let fault = listenURL.flatMap(SessionOptions.fault) {
            throw JournalError(.invalidArgument, "JournalConfiguration.listenURL: \(fault.message)")
        }
        try check("writerConnections", writerConnections, 1...greatestConnectionCount)
        try check("readerConnections", readerConnections, 1...greatestConnectionCount)
        try check("transactionConnections", transactionConnections, 1...greatestConnectionCount)
        try check("openTimeout", openTimeout)
        try check("appendDeadline", appendDeadline)
        try check("readDeadline", readDeadline)
        guard (.zero ... .seconds(1)).contains(busyWait) else {
            throw Self.outOfRange("busyWait", "zero to a second", busyWait)
        }
        try check("maximumSegmentBytes", maximumSegmentBytes, 1...PostgresStream.maximumBatchByteCount)
        try check("maximumQueuedBytes", maximumQueuedBytes, 1 ... .max)
        try check("pageSize", pageSize, 1...1_000_000)
        try check("replayCacheBytes", replayCacheBytes, 0 ... .max)
        try check("listening.probeInterval", listening.probeInterval)
        try check("listening.probeTimeout", listening.probeTimeout)
        try check("listening.checkInterval", listening.checkInterval)
        try check("listening.pollInterval", listening.pollInterval)
        try check("listening.slowPollInterval", listening.slowPollInterval)
        if let idleAfter = listening.idleAfter { try check("listening.idleAfter", idleAfter) }
        try check("listening.quietInterval", listening.quietInterval)
    }

    /// More than a server has room for; some of each are there from the beginning.
    private var greatestConnectionCount: Int { 1024 }

    private func check(_ property: String, _ value: Int, _ range: ClosedRange<Int>) throws(JournalError) {
        guard !range.contains(value) else { return }
        let words =
            range.upperBound == .max ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
        throw Self.outOfRange(property, words, value)
    }

    /// Longer than anybody waits, and far from where sums of times overflow.
    private static let longestDuration = Duration.seconds(366 * 24 * 3600)

    private func check(_ property: String, _ value: Duration) throws(JournalError) {
        guard value <= .zero || value > Self.longestDuration else { return }
        throw Self.outOfRange(property, "more than zero and at most 366 days", value)
    }

    private static func outOfRange(_ property: String, _ range: String, _ value: some Any) -> JournalError {
        JournalError(.invalidArgument, "JournalConfiguration.\(property) is \(value), and has to be \(range)")
    }
}
