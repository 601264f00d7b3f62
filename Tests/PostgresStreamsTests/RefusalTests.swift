import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// A server that is there and will not: each refusal by itself, where the fault suite mixes them.
@Suite("A server that refuses", .serialized, .timeLimit(.minutes(10)))
struct RefusalTests {
    @Test(
        "with all connections taken a journal waits, says so when it gives up, and goes on when there is one",
        .enabled(if: TestServer.isPrivate, "takes a server's connections")
    )
    func connectionLimit() async throws {
        try await withPrivatePostgres(.init(settings: ["max_connections": "12"])) { server in
            let url = server.databaseURL
            try await withJournal(.with(url) { $0.appendDeadline = .seconds(120) }, migrate: true) { journal in
                let stream = try journal.stream("s")
                try await stream.append(.close("0", .cancelled))
                let pids = try await server.psql(
                    "select string_agg(pid::text, ',') from pg_stat_activity where application_name = 'durable-streams'"
                )
                var takers: [SQLSession] = []
                func takeAll() async { while let taker = try? await SQLSession(url) { takers.append(taker) } }
                await takeAll()
                try await takers[0].run("select pg_terminate_backend(pid, 60000) from unnest(array[\(pids)]) as pid")
                await takeAll()
                #expect(takers.count > 6)
                // A second journal, which gives up, and one that does not.
                var refused: JournalError?
                var patience = Duration.milliseconds(300)
                repeat {
                    refused = await thrown { try await Journal.open(.with(url) { $0.openTimeout = patience }) }
                    patience *= 2
                    // Where the machine is slow, the server's word may not come in time.
                } while refused?.description.contains("no answer from") == true
                #expect(refused?.code == .unreachable)
                #expect(
                    refused?.description.contains("connection") == true
                        || refused?.description.contains("clients") == true
                )
                async let appended = stream.append(.close("1", .cancelled))
                async let opened = Journal.open(.with(url) { $0.openTimeout = .seconds(120) })
                for taker in takers { taker.close() }
                #expect(try await appended == 1)
                let other = try await opened
                #expect(try await other.stream("s").nextPosition() == 2)
                await other.close()
            }
        }
    }

    @Test("a statement timeout that cuts appends short costs time, and no event twice")
    func statementTimeout() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { holder in
                // In a transaction one sees the same activity again and again.
                let observer = try await SQLSession(url)
                let database = try await holder.value("select current_database()")
                try await withJournal(.with(url) { $0.appendDeadline = .seconds(500) }) { journal in
                    let stream = try journal.stream("s")
                    try await stream.append(.close("0", .cancelled))
                    // Not before it is open: where the machine is slow, what it asks there would be cut short too.
                    try await holder.run("alter database \"\(database)\" set statement_timeout = '500ms'")
                    try await holder.run(
                        """
                        select pg_terminate_backend(pid, 60000) from pg_stat_activity
                        where datname = current_database() and application_name = 'durable-streams'
                        """
                    )
                    let refused = "select xact_rollback from pg_stat_database where datname = current_database()"
                    let before = try await observer.integer(refused)
                    try await holder.run("begin")
                    try await holder.run("select pg_advisory_xact_lock(hashtextextended('durable_streams/s', 0))")
                    async let appended = stream.append(contentsOf: [.close("1", .cancelled), .close("2", .cancelled)])
                    // It waits for the lock, is cancelled, and comes again.
                    try await until { try await observer.integer(refused) >= before + 3 }
                    try await holder.run("commit")
                    #expect(try await appended == 1..<3)
                    #expect(try await stream.readAll().map(\.coroutineID) == ["0", "1", "2"])
                }
            }
        }
    }

    @Test("a caller's transaction that idles too long is ended by the server: nothing of it is there, and it is told")
    func idleInTransaction() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                try await sql.run("create table account (amount int)")
                let database = try await sql.value("select current_database()")
                try await sql.run("alter database \"\(database)\" set idle_in_transaction_session_timeout = '100ms'")
                try await withJournal(.quiet(url)) { journal in
                    let stream = try journal.stream("s")
                    let error = await thrown {
                        try await journal.transaction { tx in
                            try await tx.query("insert into account values (1)")
                            try await tx.append(.close("0", .cancelled), to: stream)
                            try await until {
                                try await sql.integer(
                                    """
                                    select count(*) from pg_stat_activity where datname = current_database()
                                        and state like 'idle in transaction%'
                                    """
                                ) == 0
                            }
                        }
                    }
                    #expect(error != nil)
                    #expect(error?.outcome != .written)
                    let amounts = try await sql.integer("select count(*) from account")
                    #expect(amounts == 0)
                    #expect(try await stream.readAll().isEmpty)
                    // Its own appends do not mind, nor does a transaction that has time.
                    try await stream.append(.close("1", .cancelled))
                }
                try await sql.run("alter database \"\(database)\" reset idle_in_transaction_session_timeout")
                try await withJournal(.quiet(url)) { journal in
                    let stream = try journal.stream("s")
                    let position = try await journal.transaction { tx in
                        try await tx.append(.close("2", .cancelled), to: stream)
                    }
                    #expect(position == 1)
                }
            }
        }
    }
}
