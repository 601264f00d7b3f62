import ArgumentParser
import Foundation
import PostgresStreams
import PrivatePostgres

/// Where the journal is: the options every subcommand has that talks to a server.
struct ConnectionOptions: ParsableArguments {
    @Option(
        name: .customLong("database-url"),
        help: ArgumentHelp(
            "The server and database, as a URI or key=value string that libpq reads.",
            discussion: "Without it DATABASE_URL counts, and without that libpq's own variables.",
            valueName: "url"
        )
    )
    var databaseURL: String?

    @Option(help: ArgumentHelp("The schema that holds the journal.", valueName: "name"))
    var schema = "durable_streams"

    @Option(
        name: .customLong("connect-timeout"),
        parsing: .unconditional,
        help: ArgumentHelp(
            "How long to try to reach the server at the start, at most \(Int(Self.longestConnectTimeout)).",
            valueName: "seconds"
        )
    )
    var connectTimeout = 25.0

    /// Whoever started the tool hears within half a minute that there is no server, whatever was asked for.
    private static let longestConnectTimeout = 28.0

    @Flag(name: .shortAndLong, help: "Say on stderr which connections are made and lost.")
    var verbose = false

    private static let isGivenByOption = Latch()

    /// To follow a command that we name: it needs the option that this one was given.
    static var hint: String { isGivenByOption.isRaised ? " (with the same --database-url)" : "" }

    func validate() throws {
        if databaseURL != nil { Self.isGivenByOption.raise() }
        // What is not a nanosecond is nothing.
        guard connectTimeout >= 1e-9, connectTimeout <= Self.longestConnectTimeout else {
            throw ValidationError(
                "--connect-timeout takes more than 0 and at most \(Int(Self.longestConnectTimeout)) seconds"
            )
        }
    }

    /// Nil when libpq's own variables are to decide.
    var givenURL: String? {
        if let databaseURL { return databaseURL }
        let variable = ProcessInfo.processInfo.environment["DATABASE_URL"]
        return variable?.isEmpty == false ? variable : nil
    }

    /// Runs `body` with a server that exists only for that long, and to which what the environment says of others does not
    /// apply.
    static func withOwnServer<R: Sendable>(
        _ options: PrivatePostgres.Options = .init(),
        _ body: (PrivatePostgres) async throws -> R
    ) async throws -> R {
        for name in ProcessInfo.processInfo.environment.keys where name.hasPrefix("PG") { unsetenv(name) }
        return try await withPrivatePostgres(options, body)
    }

    /// One connection for each purpose: a process of the tool does one thing at a time.
    var configuration: JournalConfiguration {
        var configuration = JournalConfiguration(databaseURL: givenURL ?? "")
        configuration.schema = schema
        configuration.openTimeout = .seconds(connectTimeout)
        configuration.writerConnections = 1
        configuration.logger = StandardErrorLog.logger(verbose ? .debug : .warning)
        return configuration
    }
}
