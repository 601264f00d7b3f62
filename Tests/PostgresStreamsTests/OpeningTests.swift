import Testing

@testable import PostgresStreams

@Suite("Opening a journal", .serialized, .timeLimit(.minutes(10)))
struct OpeningTests {
    @Test(
        "where a time-out of the database's ends the first questions, it is tried again",
        arguments: ["lock_timeout", "statement_timeout"]
    )
    func timeout(_ setting: String) async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                let database = try await sql.value("select current_database()")
                try await sql.run("begin")
                try await sql.run("lock table durable_streams.migrations in access exclusive mode")
                try await withSQL(url) { try await $0.run("alter database \(database) set \(setting) = '100ms'") }
                let log = Sayings()
                let configuration = JournalConfiguration.with(url) { configuration in
                    configuration.openTimeout = .seconds(1200)
                    configuration.logger = log.logger
                }
                let opening = Task { try await Journal.open(configuration) }
                try await until { log.all.contains { $0.contains("no connection") } }
                // Not by a session of its own, which would begin with the setting; and it goes together with the lock.
                try await sql.run("alter database \(database) reset \(setting)")
                try await sql.run("commit")
                await (try opening.value).close()
            }
        }
    }
}
