import ArgumentParser
import PostgresStreams
import PrivatePostgres

/// What all benchmarks have in common: which server, and how the rows are printed.
struct BenchmarkOptions: ParsableArguments {
    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print each row as a JSON object.")
    var json = false

    /// Whether the server is there when the benchmark is over.
    var isLasting: Bool { connection.givenURL != nil }

    /// Runs `body` with the database that was given, else with a private server that exists only for that long.
    ///
    /// The configuration is the library's default one but for the connection.
    func withDatabase(
        settings: [String: String] = [:],
        _ body: (JournalConfiguration) async throws -> Void
    ) async throws {
        var configuration = connection.configuration
        configuration.writerConnections = JournalConfiguration().writerConnections
        guard connection.givenURL == nil else { return try await body(configuration) }
        try await ConnectionOptions.withOwnServer(.init(settings: settings)) { server in
            configuration.databaseURL = server.databaseURL
            try await body(configuration)
        }
    }

    func show(_ rows: some Sequence<some BenchmarkOutput>) async throws {
        for row in rows { try await Output.standard.write(Array((json ? row.json : row.line).utf8)) }
    }
}

/// A row as it is printed.
protocol BenchmarkOutput {
    /// For people; ends with a line feed, as `json` does.
    var line: String { get }
    var json: String { get }
}
