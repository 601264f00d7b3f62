import PostgresStreams
import PrivatePostgres
import Synchronization
import Testing
import TisynStreams

/// A role whose password changes all the time, as tokens do.
@Suite(
    "Passwords that expire",
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "the server must ask for a password")
)
struct PasswordProviderTests {
    /// Who gives the password that is good just now.
    private final class Tokens: Sendable {
        private let state = Mutex<(password: String, askedFor: [String], isAway: Bool)>(("first", [], false))

        struct Away: Error {}

        var password: String {
            get { state.withLock { $0.password } }
            set { state.withLock { $0.password = newValue } }
        }

        var isAway: Bool {
            get { state.withLock { $0.isAway } }
            set { state.withLock { $0.isAway = newValue } }
        }

        var askedFor: [String] { state.withLock { $0.askedFor } }

        func give(_ connectionString: String) throws -> String {
            try state.withLock { state in
                state.askedFor.append(connectionString)
                guard !state.isAway else { throw Away() }
                return state.password
            }
        }
    }

    /// Runs `body` with a database that belongs to a role which is asked for its password, as told by the tokens.
    private func withTokens(
        _ body: (_ tokens: Tokens, _ configuration: JournalConfiguration, _ superuser: SQLSession, _ role: String)
            async throws -> Void
    ) async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            try await withSQL(url) { superuser in
                let database = try await superuser.value("select current_database()")
                let role = "\(database)_user"
                let tokens = Tokens()
                try await superuser.run("create role \(role) login superuser password '\(tokens.password)'")
                let pooled = server.databaseURL(database: database, user: role, password: "expired", tcp: true)
                var configuration = JournalConfiguration.quiet(pooled)
                configuration.listenURL = pooled + "?application_name=listening"
                configuration.passwordProvider = { try tokens.give($0) }
                try await body(tokens, configuration, superuser, role)
                try await superuser.run("reassign owned by \(role) to postgres")
                try await superuser.run("drop role \(role)")
            }
        }
    }

    @Test("all goes on with the password of each moment, over connections that die")
    func rotating() async throws {
        try await withTokens { tokens, configuration, superuser, role in
            try await withJournal(configuration) { journal in
                let stream = try journal.stream("s")
                var tail = stream.tail().makeAsyncIterator()
                for n in 0..<12 {
                    switch n % 3 {
                    case 0: #expect(try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) == n)
                    case 1:
                        try await journal.transaction { tx in
                            _ = try await tx.append(.close(CoroutineID("\(n)"), .ok(nil)), to: stream)
                        }
                    default:
                        // The one before is good for nothing any more.
                        tokens.password = "password \(n)"
                        try await superuser.run("alter role \(role) password '\(tokens.password)'")
                        try await superuser.run(
                            "select pg_terminate_backend(pid) from pg_stat_activity where usename = '\(role)'"
                        )
                        #expect(try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) == n)
                    }
                    #expect(try await tail.next()?.position == n)
                }
                #expect(try await stream.readAll().count == 12)
            }
            // Told which it is for.
            let listenURL = configuration.listenURL
            #expect(tokens.askedFor.contains(configuration.databaseURL))
            #expect(tokens.askedFor.contains { $0 == listenURL })
            #expect(Set(tokens.askedFor).count == 2)
        }
    }

    @Test("while nobody gives one an append waits, and says so at its deadline")
    func away() async throws {
        try await withTokens { tokens, configuration, superuser, role in
            var configuration = configuration
            configuration.appendDeadline = .seconds(1)
            try await withJournal(configuration) { journal in
                let stream = try journal.stream("s")
                try await stream.append(.close("first", .ok(nil)))
                tokens.isAway = true
                try await superuser.run(
                    "select pg_terminate_backend(pid) from pg_stat_activity where usename = '\(role)'"
                )
                let error = await thrown { try await stream.append(.close("lost", .ok(nil))) }
                #expect(error?.code == .unreachable)
                #expect(error?.message.contains("no password was given") == true)
                tokens.isAway = false
                try await until {
                    try await outcome { try await stream.append(.close("back", .ok(nil))) }.success != nil
                }
                // What the dying connection took may be there.
                let ids = try await stream.readAll().map(\.coroutineID)
                #expect(ids == ["first", "back"] || error?.outcome == .unknown && ids == ["first", "lost", "back"])
            }
        }
    }

    @Test("migrating and the doctor ask for it too; a wrong one is refused at once")
    func others() async throws {
        try await withTokens { tokens, configuration, _, _ in
            var other = configuration
            other.schema = "other"
            try await Migrator(other).migrate()
            let findings = await (try Doctor(other)).examine().findings
            #expect(!findings.isEmpty)
            #expect(findings.allSatisfy { $0.verdict != .problem }, "\(findings)")
            tokens.password = "wrong"
            let error = await thrown { try await withJournal(configuration) { _ in } }
            #expect(error?.code == .unfit)
            #expect(error?.message.contains("password authentication failed") == true)
        }
    }
}
