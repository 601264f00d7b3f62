import Foundation
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
        private let state = Mutex<(password: String, askedFor: [LogIn], isAway: Bool)>(("first", [], false))

        struct Away: Error {}

        var password: String {
            get { state.withLock { $0.password } }
            set { state.withLock { $0.password = newValue } }
        }

        var isAway: Bool {
            get { state.withLock { $0.isAway } }
            set { state.withLock { $0.isAway = newValue } }
        }

        var askedFor: [LogIn] { state.withLock { $0.askedFor } }

        func give(_ logIn: LogIn) throws -> String {
            try state.withLock { state in
                state.askedFor.append(logIn)
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
                let expired = server.databaseURL(database: database, user: role, password: "expired", tcp: true)
                var configuration = JournalConfiguration.quiet(expired)
                configuration.listenURL = expired + "?application_name=listening"
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
            // Told what it is for.
            let asked = Set(tokens.askedFor)
            #expect(Set(asked.map(\.connectionString)) == [configuration.databaseURL, configuration.listenURL ?? ""])
            #expect(Set(asked.map(\.user)) == [role])
            #expect(asked.allSatisfy { $0.places.map(\.host) == ["127.0.0.1"] && $0.database + "_user" == role })
            #expect(asked.allSatisfy { !"\($0)".contains("expired") && "\($0)".contains("\(role) at 127.0.0.1:") })
        }
    }

    @Test(
        "while none is given, or none that is right, an append and a tail wait; then they go on",
        arguments: [false, true]
    )
    func away(isWrong: Bool) async throws {
        try await withTokens { tokens, configuration, superuser, role in
            try await withJournal(configuration) { journal in
                let stream = try journal.stream("s")
                var tail = stream.tail().makeAsyncIterator()
                try await stream.append(.close("first", .ok(nil)))
                #expect(try await tail.next()?.position == 0)
                if isWrong { tokens.password = "wrong" } else { tokens.isAway = true }
                try await superuser.run(
                    "select pg_terminate_backend(pid) from pg_stat_activity where usename = '\(role)'"
                )
                async let appended = stream.append(.close("second", .ok(nil)))
                let before = tokens.askedFor.count
                try await until { tokens.askedFor.count > before + 6 }
                (tokens.isAway, tokens.password) = (false, "first")
                #expect(try await appended == 1)
                #expect(try await tail.next()?.position == 1)
            }
        }
    }

    @Test("whoever opens a journal meanwhile is told why there is no connection")
    func opening() async throws {
        try await withTokens { tokens, configuration, _, _ in
            tokens.isAway = true
            var configuration = configuration
            // Longer than an attempt may take, however slow the machine.
            configuration.openTimeout = .seconds(15)
            let error = await thrown { try await withJournal(configuration) { _ in } }
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("no password was given") == true, "\(String(describing: error))")
        }
    }

    @Test("libpq's password file is read for each connection")
    func file() async throws {
        try await withTokens { tokens, configuration, superuser, role in
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("passwords-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: file) }
            func write(_ password: String) throws {
                try Data("*:*:*:\(role):\(password)\n".utf8).write(to: file)
                try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
            }
            try write(tokens.password)
            let url = configuration.databaseURL.replacing(":expired@", with: "@") + "?passfile=\(file.path)"
            try await withJournal(.quiet(url)) { journal in
                let stream = try journal.stream("s")
                #expect(try await stream.append(.close("first", .ok(nil))) == 0)
                try write("second")
                try await superuser.run("alter role \(role) password 'second'")
                try await superuser.run(
                    "select pg_terminate_backend(pid) from pg_stat_activity where usename = '\(role)'"
                )
                #expect(try await stream.append(.close("second", .ok(nil))) == 1)
            }
        }
    }

    @Test("migrating and the doctor ask for it too")
    func others() async throws {
        try await withTokens { _, configuration, _, _ in
            var other = configuration
            other.schema = "other"
            try await Migrator(other).migrate()
            let findings = await (try Doctor(other)).examine().findings
            #expect(!findings.isEmpty)
            #expect(findings.allSatisfy { $0.verdict != .problem }, "\(findings)")
        }
    }
}
