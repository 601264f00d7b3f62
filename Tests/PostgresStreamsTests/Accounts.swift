import PostgresStreams
import Testing

/// A table of the caller's beside the journal.
enum Accounts {
    static func with(
        _ body: (_ url: String, _ journal: Journal) async throws -> Void
    ) async throws {
        try await withTestDatabase { url in
            try await make(url)
            // A slow machine is no reason to give up.
            let patient = { (configuration: inout JournalConfiguration) in configuration.appendDeadline = .seconds(240)
            }
            try await withJournal(.with(url, patient)) { journal in try await body(url, journal) }
        }
    }

    static func make(_ url: String) async throws {
        try await withSQL(url) { sql in
            try await sql.run(
                "create table accounts (id text primary key, balance bigint not null check (balance >= 0))"
            )
            try await sql.run("insert into accounts values ('a', 100), ('b', 0)")
        }
    }

    static func balance(_ url: String, _ id: String = "a") async throws -> Int {
        try await withSQL(url) { try await $0.integer("select balance from accounts where id = '\(id)'") }
    }
}
