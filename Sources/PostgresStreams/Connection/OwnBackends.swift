import LibPQ

/// The server's processes that serve one application name, to be terminated or cancelled by whoever tests what happens
/// then. A role may do so to its own.
package struct OwnBackends: Sendable {
    package enum Signal: Sendable {
        /// The connection ends.
        case terminate
        /// The statement under way fails.
        case cancel
    }

    private let options: SessionOptions
    private let applicationName: String

    /// Those of a journal with this configuration, which names its connections.
    package init(_ configuration: JournalConfiguration) {
        options = configuration.session(to: configuration.databaseURL)
        applicationName = configuration.applicationName ?? ""
    }

    /// Sends the signal to some of them, chosen at random, at most `limit`; nil: to all.
    ///
    /// - Returns: to how many.
    /// - Throws: `JournalError` when the server cannot be reached or refuses.
    @discardableResult
    package func send(_ signal: Signal, atMost limit: Int? = nil) async throws(JournalError) -> Int {
        let conversation = try await Conversation.open(options, within: .seconds(10))
        defer { conversation.close() }
        let function =
            switch signal {
            case .terminate: "pg_terminate_backend"
            case .cancel: "pg_cancel_backend"
            }
        var parameters = Parameters()
        parameters.append(applicationName)
        parameters.append(limit)
        let statement = Statement(
            name: "",
            sql: """
                select count(\(function)(pid)) from (
                    select pid from pg_stat_activity
                    where application_name = $1 and datname = current_database() and usename = current_user
                    order by random() limit $2) chosen
                """,
            parameterTypes: [.text, .int8]
        )
        return try await conversation.run((statement, parameters)).last?.integer(row: 0, column: 0) ?? 0
    }
}
