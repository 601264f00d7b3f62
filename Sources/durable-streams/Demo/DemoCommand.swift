import ArgumentParser
import Foundation
import PostgresStreams
import PrivatePostgres

/// `demo`: what the journal is for, shown with real processes and a real crash.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show a crash and a replay, with a PostgreSQL server of its own.",
        discussion: """
            Runs a small order workflow of three coroutines in a worker process, with `tail` in another process that prints \
            events as they are committed. Kills the worker with SIGKILL while effects are running, starts it again, shows \
            which effects were replayed and which ran live, and compares journal, tail and what really ran. Takes some \
            seconds.

              durable-streams demo
              DATABASE_URL=postgresql://durable:durable@localhost:5432/durable durable-streams demo

            Without a database URL it starts a private PostgreSQL server in a temporary folder and removes it at the end; \
            that needs the server's programs (found by DURABLE_STREAMS_PG_BIN, pg_config, PATH or in the usual places). \
            With one it migrates the schema there and leaves a stream of some events behind, named demo/ and something \
            random; nothing else is touched.

            Exits 0 only if all checks held, else 70. Colours only on a terminal, and not where NO_COLOR is set.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let started = MonotonicTime.now
        let paper = DemoPaper()
        if let url = connection.givenURL {
            try await show(url, isPrivate: false, on: paper)
        } else {
            try await paper.line("Starting a PostgreSQL server of our own …", .faint)
            try await ConnectionOptions.withOwnServer { server in
                try await show(server.databaseURL, isPrivate: true, on: paper)
            }
        }
        let seconds = String(format: "%.1f s", MonotonicTime.now.milliseconds(since: started) / 1000)
        try await paper.line("All checks held. \(seconds) in all.", .green)
    }

    private func show(_ databaseURL: String, isPrivate: Bool, on paper: DemoPaper) async throws {
        var configuration = connection.configuration
        configuration.databaseURL = databaseURL
        let schema = connection.schema
        try await withJournal(configuration, migrate: true) { journal in
            let stream = "demo/order-" + String(UInt32.random(in: .min ... .max), radix: 36)
            try await paper.line("server  \(journal.server)\(isPrivate ? " (ours, removed at the end)" : "")")
            try await paper.line("stream  \(stream) in schema \(schema)")
            let ledger = FileManager.default.temporaryDirectory.appendingPathComponent("durable-streams-\(UUID())")
            defer { try? FileManager.default.removeItem(at: ledger) }
            let demo = Demo(
                journal: journal,
                stream: try journal.stream(stream),
                ledger: EffectLedger(path: ledger.path),
                paper: paper
            )
            try await demo.run()
        }
    }
}
