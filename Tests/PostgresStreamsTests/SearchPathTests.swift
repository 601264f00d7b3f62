import PostgresStreams
import Testing
import TisynStreams

/// Databases whose search_path names a schema ahead of the server's own functions and operators.
@Suite("A search_path that goes astray", .timeLimit(.minutes(5)))
struct SearchPathTests {
    private static let trap = [
        "create schema evil",
        "create function evil.never(bigint, bigint) returns boolean language sql as 'select false'",
        "create function evil.never(text, text) returns boolean language sql as 'select false'",
        "create operator evil.= (leftarg = bigint, rightarg = bigint, function = evil.never)",
        "create operator evil.= (leftarg = text, rightarg = text, function = evil.never)",
        "create function evil.current_setting(text) returns text language sql as $$ select 'evil'::text $$",
        "create function evil.pg_is_in_recovery() returns boolean language sql as 'select true'",
        "create function evil.unnest(anyarray) returns setof anyelement language sql as 'select $1[1] where false'",
    ]

    @Test("events are written and found all the same")
    func hostile() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                for statement in Self.trap { try await sql.run(statement) }
                let database = try await sql.value("select current_database()")
                try await sql.run("alter database \"\(database)\" set search_path = evil, pg_catalog")
            }
            try await withJournal(.quiet(url)) { journal in
                let claim = try await journal.stream("s").claim()
                for n in 0..<3 { try await claim.stream.append(.close("\(n)", .cancelled)) }
                try await claim.stream.append(contentsOf: [.close("3", .cancelled), .close("root", .cancelled)])
                #expect(try await claim.stream.readAll().count == 5)
                var tailed: [Int] = []
                for try await event in claim.stream.tail(untilClose: true) { tailed.append(event.position) }
                #expect(tailed == [0, 1, 2, 3, 4])
                var names: [String] = []
                for try await summary in journal.streams() { names.append(summary.name.text) }
                #expect(names == ["s"])
                #expect(try await claim.stream.replayIndex().coroutineIDs().count == 5)
            }
        }
    }
}
