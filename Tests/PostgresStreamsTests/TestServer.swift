import Foundation
import PrivatePostgres

@testable import PostgresStreams

/// The server the tests run against: the one `DATABASE_URL` names, else a private one, started at first use and gone with
/// the process.
///
/// Each test has a database of its own: notification channels and advisory locks are a database's, so that a schema of
/// its own would not isolate it. On the private server it is cloned from a migrated one; on another it is migrated, and
/// dropped at the end, so that nothing is left behind there.
actor TestServer {
    static let shared = TestServer()

    /// The URL of a server that is not ours to stop or to rule. Its role must be allowed to create databases.
    static let externalURL = ProcessInfo.processInfo.environment["DATABASE_URL"].flatMap { $0.isEmpty ? nil : $0 }

    /// Whether the server is ours. Tests that stop it, stand between it and us, or need a superuser are only run then.
    static var isPrivate: Bool { externalURL == nil }

    private var starting: Task<PrivatePostgres, any Error>?
    private var template: Task<Void, any Error>?
    private var count = 0
    private let run = String(UInt32.random(in: .min ... .max), radix: 16)

    private static let templateName = "durable_streams_template"

    struct NotOurs: Error, CustomStringConvertible {
        let description = "DATABASE_URL names the server, and this test needs one of its own"
    }

    /// Whether the private server was built with TLS.
    func hasTLS() async throws -> Bool {
        guard Self.isPrivate else { return false }
        return try await !server().psql("show ssl_library").isEmpty
    }

    /// The private server, for tests that look into it.
    func server() async throws -> PrivatePostgres {
        guard Self.isPrivate else { throw NotOurs() }
        if let starting { return try await starting.value }
        let task = Task { try await PrivatePostgres.start(.init(tcp: true, settings: ["max_connections": "1000"])) }
        starting = task
        return try await task.value
    }

    /// The URL of a new database with a migrated journal, or an empty one. `withTestDatabase` also drops it.
    func database(migrated: Bool = true) async throws -> String {
        count += 1
        let name = "durable_streams_test_\(run)_\(count)"
        if let externalURL = Self.externalURL {
            try await withSQL(externalURL) { try await $0.run("create database \(name) template template0") }
            let url = Self.url(externalURL, database: name)
            if migrated { try await Migrator(.quiet(url)).migrate() }
            return url
        }
        let server = try await server()
        if migrated, template == nil {
            template = Task {
                try await server.createDatabase(Self.templateName)
                let url = server.databaseURL(database: Self.templateName)
                try await Migrator(.quiet(url)).migrate()
            }
        }
        if migrated { try await template?.value }
        try await server.createDatabase(name, template: migrated ? Self.templateName : nil)
        return server.databaseURL(database: name)
    }

    /// Drops a database that `database` created, where it would not go with the server.
    func drop(_ url: String) async throws {
        guard let externalURL = Self.externalURL else { return }
        let name = try await withSQL(url) { try await $0.value("select current_database()") }
        try await withSQL(externalURL) { try await $0.run("drop database if exists \(name) with (force)") }
    }

    /// The same server and role, another database. Of a URI the path is replaced; in a key=value string the last wins.
    private static func url(_ url: String, database: String) -> String {
        guard let authority = url.range(of: "://")?.upperBound else { return "\(url) dbname=\(database)" }
        let rest = url[authority...]
        let query = rest.firstIndex(of: "?") ?? rest.endIndex
        let path = rest[..<query].firstIndex(of: "/") ?? query
        return url[..<path] + "/\(database)" + rest[query...]
    }
}

/// Runs `body` with a database of its own.
@discardableResult
func withTestDatabase<R: Sendable>(migrated: Bool = true, _ body: (String) async throws -> R) async throws -> R {
    let url = try await TestServer.shared.database(migrated: migrated)
    do {
        let result = try await body(url)
        try await TestServer.shared.drop(url)
        return result
    } catch {
        try? await TestServer.shared.drop(url)
        throw error
    }
}

/// Runs `body` with a journal on a database of its own.
@discardableResult
func withTestJournal<R: Sendable>(
    _ change: ConfigurationChange = .none,
    _ body: (Journal) async throws -> R
) async throws -> R {
    try await withTestDatabase { url in
        var configuration = JournalConfiguration.quiet(url)
        change.apply(&configuration)
        return try await withJournal(configuration, body)
    }
}

extension PostgresStream {
    /// Runs `body` with the same stream of another journal, as another process has it: what a journal appends itself its own
    /// tails have without the server.
    func elsewhere(_ body: (PostgresStream) async throws -> Void) async throws {
        try await withJournal(journal.configuration) { try await body($0.stream(name)) }
    }
}

/// What a test wants otherwise: `.with { $0.pageSize = 10 }`.
struct ConfigurationChange {
    let apply: (inout JournalConfiguration) -> Void

    static var none: ConfigurationChange { with { _ in } }

    /// For tests in which what listens is to go on: a probe that a machine at a standstill leaves on its way is waited for.
    static var patientProbes: ConfigurationChange { with { $0.listening.probeTimeout = .seconds(600) } }

    /// Notifications tell of events, and nothing looks for them.
    static var onlyHearing: ConfigurationChange {
        with {
            $0.listening.checkInterval = .seconds(3600)
            $0.listening.probeInterval = .seconds(3600)
        }
    }

    static func with(_ apply: @escaping (inout JournalConfiguration) -> Void) -> ConfigurationChange {
        ConfigurationChange(apply: apply)
    }
}

extension JournalConfiguration {
    /// The quiet ones, changed.
    static func with(_ url: String, _ change: (inout JournalConfiguration) -> Void) -> JournalConfiguration {
        var configuration = quiet(url)
        change(&configuration)
        return configuration
    }

    /// The defaults, with a log that keeps quiet, since connections are lost all the time in these tests, and without haste: a
    /// machine that stands still for a minute is no reason to give up. Who waits for a deadline sets its own.
    static func quiet(_ url: String) -> JournalConfiguration {
        var configuration = JournalConfiguration(databaseURL: url)
        configuration.logger.logLevel = .critical
        configuration.openTimeout = .seconds(300)
        configuration.appendDeadline = .seconds(300)
        configuration.readDeadline = .seconds(300)
        return configuration
    }
}

/// Asks until it is so. For what gives no sign of itself; the suite's time limit bounds it.
func until(_ condition: () async throws -> Bool) async throws {
    while try await !condition() {
        try Task.checkCancellation()
        await Task.yield()
    }
}
