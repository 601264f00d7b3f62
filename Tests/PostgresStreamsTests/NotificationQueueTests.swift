import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// A session that listens and does not read fills the server's one notification queue: nobody can notify any more.
@Suite(
    "A full notification queue",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "needs a server of its own"),
    .enabled("the queue of servers before 17 has 8 GB and cannot be made smaller") {
        try await TestServer.shared.server().serverVersion >= 170_000
    }
)
struct NotificationQueueTests {
    @Test("appends go on, tails poll and say so, and listen again once the queue has room")
    func full() async throws {
        try await withPrivatePostgres(.init(settings: ["max_notify_queue_pages": "64"])) { server in
            var configuration = JournalConfiguration.quiet(server.databaseURL)
            configuration.listening.probeInterval = .milliseconds(200)
            configuration.listening.pollInterval = .milliseconds(20)
            try await Migrator(configuration).migrate()
            try await TailedStream.with(configuration) { tailed in
                await tailed.journal.untilState(.listening)
                let stuck = try await SQLSession(server.databaseURL)
                try await stuck.run("listen anything")
                try await stuck.run("begin")
                try await withSQL(server.databaseURL) { sql in
                    try await until {
                        let fill = "select pg_notify('anything', n || repeat('x', 7900)) from generate_series(1, 20) n"
                        return try await sql.refusal(fill) == "54000"
                    }
                    await tailed.journal.untilState(.polling(.queueFull))
                    try await tailed.append(0..<10)
                    try await tailed.expect(0..<10)
                    // The culprit goes; the queue would stay full if nobody asked.
                    stuck.close()
                    await tailed.journal.untilState(.listening)
                    #expect(try await sql.refusal("select pg_notify('anything', 'again')") == "00000")
                    try await tailed.append(10..<20)
                    try await tailed.expect(10..<20)
                }
            }
        }
    }
}
