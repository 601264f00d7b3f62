import PrivatePostgres
import Testing
import TisynStreams

@testable import PostgresStreams

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
    /// - Returns: the session that does not read.
    private func fillQueue(_ server: PrivatePostgres, _ sql: SQLSession) async throws -> SQLSession {
        let stuck = try await SQLSession(server.databaseURL)
        try await stuck.run("listen anything")
        try await stuck.run("begin")
        try await until {
            let fill = "select pg_notify('anything', n || repeat('x', 7900)) from generate_series(1, 20) n"
            return try await sql.refusal(fill) == "54000"
        }
        return stuck
    }

    @Test("appends go on, tails poll and say so, and listen again once the queue has room")
    func full() async throws {
        try await withPrivatePostgres(.init(settings: ["max_notify_queue_pages": "64"])) { server in
            var configuration = JournalConfiguration.quiet(server.databaseURL)
            configuration.listening.probeInterval = .milliseconds(200)
            configuration.listening.pollInterval = .milliseconds(20)
            try await Migrator(configuration).migrate()
            try await TailedStream.with(configuration) { tailed in
                await tailed.journal.untilState(.listening)
                try await withSQL(server.databaseURL) { sql in
                    let stuck = try await fillQueue(server, sql)
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

    @Test("once it can have room an append makes it, and is announced, where nobody tails who would ask for it")
    func clearedByAppend() async throws {
        try await withPrivatePostgres(.init(settings: ["max_notify_queue_pages": "64"])) { server in
            let configuration = JournalConfiguration.quiet(server.databaseURL)
            try await Migrator(configuration).migrate()
            let (payloads, continuation) = AsyncStream.makeStream(of: String.self)
            let listening = try await Conversation.open(
                configuration.session(to: server.databaseURL),
                within: configuration.openTimeout
            ) { notification in
                if let notification { continuation.yield(notification.payload) } else { continuation.finish() }
            }
            defer { listening.close() }
            try await listening.run("listen durable_streams")
            try await withJournal(configuration) { journal in
                try await withSQL(server.databaseURL) { sql in
                    let stream = try journal.stream("s")
                    let before = try StreamName("before")
                    // An announcement does not wait for long where its connection is not there.
                    try await until {
                        journal.announce([before])
                        await journal.flush()
                        return try await sql.integer(
                            "select count(*) from pg_stat_activity where query like '%pg_notify(%' and pid <> pg_backend_pid()"
                        ) > 0
                    }
                    let stuck = try await fillQueue(server, sql)
                    let pid = try await stuck.integer("select pg_backend_pid()")
                    #expect(try await stream.append(.close("0", .ok(nil))) == 0)
                    await journal.flush()
                    stuck.close()
                    try await until {
                        try await sql.integer("select count(*) from pg_stat_activity where pid = \(pid)") == 0
                    }
                    // Nobody has asked.
                    try await #require(sql.refusal("select pg_notify('durable_streams', 'begin')") == "54000")
                    #expect(try await stream.append(.close("1", .ok(nil))) == 1)
                    await journal.flush()
                    try await #require(sql.refusal("select pg_notify('durable_streams', 'end')") == "00000")
                    var last: String?
                    for await payload in payloads {
                        if payload == "end" { break }
                        last = payload
                    }
                    #expect(last.map { Array(HintPayload($0)) } == [stream.name.digest])
                }
            }
        }
    }
}
