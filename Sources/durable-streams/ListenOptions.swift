import ArgumentParser
import Foundation

/// The way round a pooler, for subcommands that listen.
struct ListenOptions: ParsableArguments {
    @Option(
        name: .customLong("listen-url"),
        help: ArgumentHelp(
            "A way to the same database for listening, round a pooler.",
            discussion: "Without it, and without --database-url, DATABASE_LISTEN_URL counts.",
            valueName: "url"
        )
    )
    var listenURL: String?

    /// The variable goes with `DATABASE_URL`: it would be the way to another database than --database-url's.
    func url(besides connection: ConnectionOptions) -> String? {
        if let listenURL { return listenURL }
        let variable = ProcessInfo.processInfo.environment["DATABASE_LISTEN_URL"]
        return connection.databaseURL == nil && variable?.isEmpty == false ? variable : nil
    }
}
