import ArgumentParser
import PostgresStreams
import PrivatePostgres

/// What all benchmarks have in common: which server, and how the rows are printed.
struct BenchmarkOptions: ParsableArguments {
    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print each row as a JSON object.")
    var json = false

    @Option(
        name: .customLong("round-trip"),
        parsing: .unconditional,
        help: ArgumentHelp(
            "Put the private server so far away, by a process that hands on what comes.",
            valueName: "milliseconds"
        )
    )
    var roundTrip: Double?

    func validate() throws {
        guard let roundTrip else { return }
        guard roundTrip > 0, roundTrip <= 1000 else {
            throw ValidationError("--round-trip takes more than 0 and at most 1,000 milliseconds")
        }
        guard connection.givenURL == nil else {
            throw ValidationError("--round-trip is for the private server: a server that is given is where it is")
        }
    }

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
        try await ConnectionOptions.withOwnServer(.init(tcp: roundTrip != nil, settings: settings)) { server in
            configuration.databaseURL = server.databaseURL
            guard let roundTrip else { return try await body(configuration) }
            let relay = try await ToolChildProcess(
                ["bench", "relay", "--server-port", "\(server.port)", "--delay", "\(roundTrip / 2000)"],
                databaseURL: server.databaseURL,
                input: .lines
            )
            defer { relay.kill() }
            guard let line = try await relay.lines.next()?.first,
                let port = Int(String(decoding: line.text, as: UTF8.self))
            else { throw BenchmarkError(description: "the relay ended early: \(await relay.end)") }
            configuration.databaseURL = server.databaseURL(database: "postgres", tcp: true, port: port)
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
