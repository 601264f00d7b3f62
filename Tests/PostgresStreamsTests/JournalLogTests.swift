import Logging
import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// What a journal's log says, and how often.
@Suite("The log", .serialized, .timeLimit(.minutes(10)))
struct JournalLogTests {
    private static let event = DurableEvent.close(.root, .ok(nil))

    @Test(
        "notifications that are refused are said once, not for each append, and once that they work again",
        .enabled(if: TestServer.isPrivate, "needs a superuser and a role without rights")
    )
    func refusedNotifications() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            let log = Sayings()
            try await withSQL(url) { sql in
                let database = try await sql.value("select current_database()")
                let role = "unheard_\(database)"
                try await sql.run("create role \(role) login")
                try await sql.run("grant usage on schema durable_streams to \(role)")
                try await sql.run("grant all on all tables in schema durable_streams to \(role)")
                try await sql.run("grant all on all sequences in schema durable_streams to \(role)")
                try await sql.run("grant execute on all functions in schema durable_streams to \(role)")
                try await sql.run("revoke execute on function pg_notify(text, text) from public")
                let configuration = JournalConfiguration.with(server.databaseURL(database: database, user: role)) {
                    $0.logger = log.logger
                }
                func notices() -> [String] {
                    log.logged.filter { $0.message.contains("NOTIFY") }.map { "\($0.level) \($0.message.prefix(12))" }
                }
                try await withJournal(configuration) { journal in
                    let stream = try journal.stream("s")
                    for _ in 0..<50 {
                        try await stream.append(Self.event)
                        await journal.flush()
                    }
                    // One, and one more for each minute that this takes.
                    #expect((1..<25).contains(notices().count), "\(notices())")
                    try await sql.run("grant execute on function pg_notify(text, text) to public")
                    try await stream.append(Self.event)
                    await journal.flush()
                    // It is said a little later than all is flushed.
                    try await until { notices().last == "notice NOTIFY works" }
                }
                try await sql.run("drop owned by \(role)")
                try await sql.run("drop role \(role)")
            }
        }
    }

    @Test("short-lived tails one after the other say nothing that is news, and nothing of a connection made anew")
    func shortTails() async throws {
        let log = Sayings()
        let change = ConfigurationChange.with {
            $0.logger = log.logger
            $0.listening.probeTimeout = .seconds(600)
        }
        try await withTestJournal(change) { journal in
            let stream = try journal.stream("s")
            try await stream.append(Self.event)
            for _ in 0..<20 {
                // Ended by its consumer, some before it listens.
                for try await _ in stream.tail() { break }
            }
            let task = Task { for try await _ in stream.tail() {} }
            for await state in journal.listeningStates() where state == .listening { break }
            task.cancel()
            for await state in journal.listeningStates() where state == .idle { break }
        }
        let news = log.logged.filter { $0.level > .debug }.map(\.message)
        // Something may be; of twenty tails nothing is said.
        #expect(news.count < 20, "\(news)")
        let anew = log.logged.map(\.message).filter { $0.contains("anew") }
        #expect(anew.isEmpty, "\(anew)")
        #expect(log.logged.contains { $0.message.contains(ListeningState.logMessage) })
    }

    @Test("tails one after the other share the one that listens; when none comes for a while it is given back")
    func connectionOfShortTails() async throws {
        let log = Sayings()
        try await withTestDatabase { url in
            let configuration = JournalConfiguration.with(url) {
                ConfigurationChange.patientProbes.apply(&$0)
                $0.logger = log.logger
            }
            try await withJournal(configuration) { journal in
                let stream = try journal.stream("s")
                try await stream.append(Self.event)
                func connections() -> Int { log.logged.count { $0.message.hasPrefix("connected") } }
                func whileListening(_ body: () async throws -> Void = {}) async throws {
                    let listening = Task { for try await _ in stream.tail() {} }
                    defer { listening.cancel() }
                    for await state in journal.listeningStates() where state == .listening { break }
                    try await body()
                    listening.cancel()
                    _ = await listening.result
                }
                var made: Int
                var start: ContinuousClock.Instant
                repeat {
                    start = .now
                    try await whileListening()
                    let before = connections()
                    for _ in 0..<50 {
                        for try await _ in stream.tail() { break }
                    }
                    made = connections() - before
                    // Where the machine stood still, it may have been given back between two of them.
                } while .now - start > .seconds(10)
                #expect(made == 0)
                try await withSQL(url) { sql in
                    let count = "select count(*) from pg_stat_activity where datname = current_database()"
                    var there = 0
                    try await whileListening { there = try await sql.integer(count) }
                    try await until { try await sql.integer(count) == there - 1 }
                }
                #expect(journal.listeningState == .idle)
            }
        }
    }
}
