import Foundation
import PrivatePostgres

/// A database whose journal a writer and a reader may use, as `Migrations/roles.sql` sets them up: each by a log-in of
/// their own.
struct Roles {
    let owner: SQLSession
    /// URLs.
    let writer: String
    let reader: String

    static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Migrations/roles.sql").path

    static func with<R: Sendable>(_ body: (Roles) async throws -> R) async throws -> R {
        let server = try await TestServer.shared.server()
        return try await withTestDatabase { url in
            try await withSQL(url) { sql in
                try await make(in: sql) {
                    for role in ["writer", "reader"] where try await !exists("a_\(role)", sql) {
                        try await sql.run("create role a_\(role) login in role durable_streams_\(role)")
                    }
                }
                let database = try await sql.value("select current_database()")
                return try await body(
                    Roles(
                        owner: sql,
                        writer: server.databaseURL(database: database, user: "a_writer"),
                        reader: server.databaseURL(database: database, user: "a_reader")
                    )
                )
            }
        }
    }

    /// Runs `Migrations/roles.sql`, then `body`, while no other test does: roles are the whole server's.
    static func make(in sql: SQLSession, _ body: () async throws -> Void = {}) async throws {
        // Advisory locks are a database's.
        try await withSQL(TestServer.shared.server().databaseURL) { everybody in
            try await everybody.run("select pg_advisory_lock(6)")
            try await sql.run("\\i \(file.literal)")
            try await body()
        }
    }

    private static func exists(_ role: String, _ sql: SQLSession) async throws -> Bool {
        try await sql.value("select count(*) from pg_roles where rolname = '\(role)'") == "1"
    }
}
