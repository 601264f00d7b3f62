import Foundation
import PostgresStreams
import PrivatePostgres

/// The server the tests run against: the one `DATABASE_URL` names, else a private one, started at first use and gone with
/// the process.
///
/// Each test has a database of its own, cloned from a migrated one: notification channels and advisory locks are a
/// database's, so that a schema of its own would not isolate it.
actor TestServer {
    static let shared = TestServer()

    private var starting: Task<PrivatePostgres, any Error>?
    private var template: Task<Void, any Error>?
    private var count = 0

    private static let templateName = "durable_streams_template"

    /// The server, for tests that stop it or look into it. Nil where `DATABASE_URL` names one that is not ours to stop.
    func server() async throws -> PrivatePostgres {
        if let starting { return try await starting.value }
        let task = Task { try await PrivatePostgres.start(.init(tcp: true, settings: ["max_connections": "200"])) }
        starting = task
        return try await task.value
    }

    /// The URL of a new database with a migrated journal, or an empty one.
    func database(migrated: Bool = true) async throws -> String {
        let server = try await server()
        if migrated, template == nil {
            template = Task {
                try await server.createDatabase(Self.templateName)
                let url = server.databaseURL(database: Self.templateName)
                try await Migrator(JournalConfiguration(databaseURL: url)).migrate()
            }
        }
        if migrated { try await template?.value }
        count += 1
        let name = "test_\(count)"
        try await server.createDatabase(name, template: migrated ? Self.templateName : nil)
        return server.databaseURL(database: name)
    }
}

/// Runs `body` with a journal on a database of its own.
func withTestJournal<R: Sendable>(
    _ configure: (inout JournalConfiguration) -> Void = { _ in },
    _ body: (Journal) async throws -> R
) async throws -> R {
    var configuration = JournalConfiguration(databaseURL: try await TestServer.shared.database())
    configure(&configuration)
    return try await withJournal(configuration, body)
}
