import PostgresStreams
import StreamHistory
import TisynStreams

/// The rows that a run's transactions write beside their events, in a table of the run's own: each is to be there exactly
/// where its event is.
enum StressRows {
    private static func table(_ journal: Journal) -> String {
        let schema = journal.configuration.schema.replacing("\"", with: "\"\"")
        return "\"\(schema)\".stress_rows"
    }

    /// Creates the table, unless somebody has done it for a role that may not.
    static func prepare(_ journal: Journal) async throws {
        try await journal.transaction { transaction in
            let found = try await transaction.query("select to_regclass($1)", SQLValue(table(journal)))
            guard found.first?[0].text == nil else { return }
            try await transaction.query("create table \(table(journal)) (id text primary key)")
        }
    }

    /// Appends these in a transaction that also writes the row of the first.
    static func append(
        _ first: EventID,
        _ events: [DurableEvent],
        to stream: PostgresStream,
        expecting position: Int?,
        over journal: Journal
    ) async throws -> Range<Int> {
        try await journal.transaction { transaction in
            let insert = "insert into \(table(journal)) values ($1)"
            try await transaction.query(insert, SQLValue(first.description))
            return try await transaction.append(contentsOf: events, to: stream, expecting: position)
        }
    }

    static func all(_ journal: Journal) async throws -> Set<EventID> {
        try await journal.transaction { transaction in
            let rows = try await transaction.query("select id from \(table(journal))")
            return Set(rows.compactMap { $0[0].text.flatMap { EventID($0) } })
        }
    }
}
