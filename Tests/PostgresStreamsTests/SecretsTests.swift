import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// Planted passwords and payloads, looked for in everything the library says: errors, logs, what the server shows of it.
@Suite(
    "Secrets",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "needs a server that asks for a password")
)
struct SecretsTests {
    /// No word of the library's own, nor a part of one.
    private static let password = "zQ7-planted-password"
    private static let payload = "zQ7-planted-payload"
    private static let mark = "zQ7-planted"

    private static func event(_ name: String) -> DurableEvent {
        .close(CoroutineID(name), .ok(.string(JSONString(payload))))
    }

    @Test("of the caller's own SQL the server's words come as they are, which may quote a value but not its rows")
    func ownSQL() async throws {
        try await withTestJournal { journal in
            let quoting = await thrown {
                try await journal.transaction { tx in try await tx.query("select $1::int", SQLValue(Self.payload)) }
            }
            #expect(quoting?.description.contains(Self.payload) == true)
            let row = await thrown {
                try await journal.transaction { tx in
                    try await tx.query("create temp table t (n text unique)")
                    for _ in 0..<2 { try await tx.query("insert into t values ($1)", SQLValue(Self.payload)) }
                }
            }
            #expect(row?.sqlState == "23505")
            #expect(row?.description.contains(Self.mark) == false)
        }
    }

    @Test("a journal in every kind of trouble quotes neither password nor payload")
    func trouble() async throws {
        try await withPrivatePostgres(.init(tcp: true)) { server in
            try await server.psql("create role keeper superuser login password '\(Self.password)'")
            let said = Sayings()
            func configuration(_ url: String, patience: Duration, toOpen: Duration) -> JournalConfiguration {
                var configuration = JournalConfiguration(databaseURL: url)
                configuration.logger = said.logger
                configuration.openTimeout = toOpen
                configuration.appendDeadline = patience
                configuration.readDeadline = patience
                return configuration
            }
            func brief(_ url: String) -> JournalConfiguration {
                configuration(url, patience: .seconds(2), toOpen: .seconds(2))
            }
            let url = server.databaseURL(database: "postgres", user: "keeper", password: Self.password, tcp: true)

            // Those that cannot be opened.
            for bad in [
                url.replacing("keeper", with: "nobody"), url.replacing("/postgres", with: "/nowhere"),
                url.replacing(":\(server.port)", with: ":1"), url.replacing("postgresql", with: "postgresq"),
                "host=127.0.0.1 port=\(server.port) user=keeper dbname=postgres password=\(Self.mark)-wrong",
                "host=127.0.0.1 password='\(Self.password)", "postgresql://keeper:\(Self.password)@[::1",
                "\(url)?sslmode=verify-full&sslrootcert=/nowhere", "\(url)?nonsense=\(Self.mark)",
            ] {
                do {
                    try await withJournal(brief(bad), migrate: true) { _ in }
                    Issue.record("it could be opened: \(bad)")
                } catch {
                    said.note(error)
                }
                let diagnosis = try await Doctor(brief(bad)).examine()
                said.note(diagnosis)
            }

            let patient = configuration(url, patience: .seconds(300), toOpen: .seconds(300))
            try await withJournal(patient, migrate: true) { journal in
                said.note(journal.server)
                let stream = try journal.stream("s")
                try await stream.append(Self.event("a"))
                await said.noteError { try await stream.append(Self.event("b"), expecting: 7) }
                let claim = try await stream.claim()
                await said.noteError { try await stream.append(Self.event("c")) }
                // The server itself refuses an event.
                try await server.psql(
                    "alter table durable_streams.events add constraint planted check (coroutine_id <> 'd')"
                )
                await said.noteError { try await claim.stream.append(Self.event("d")) }
                await said.noteError { try await claim.stream.append(contentsOf: [Self.event("d"), Self.event("e")]) }
                said.note(try await server.psql("select query, application_name from pg_stat_activity"))
                try await server.psql(
                    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'keeper'"
                )
                try await claim.stream.append(Self.event("f"))
            }
            try await withJournal(configuration(url, patience: .seconds(2), toOpen: .seconds(300))) { journal in
                let stream = try journal.stream("s")
                await server.stop(mode: .immediate)
                await said.noteError { try await stream.append(Self.event("g")) }
                await said.noteError { try await stream.readAll() }
                try await server.start()
            }
            // Statements are logged with their parameters apart, and those only where the server's operator asks for them.
            said.note(await server.logTail())
            let all = said.all
            #expect(all.count > 30)
            for text in all { #expect(!text.contains(Self.mark), "\(text)") }
        }
    }
}
