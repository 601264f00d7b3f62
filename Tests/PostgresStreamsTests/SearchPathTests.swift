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

    /// Closer to what statements call them with than the server's own.
    private static let closer = [
        "hashtextextended(text, integer) returns bigint", "array_to_string(text[], text) returns text",
        "pg_has_role(text, text, text) returns boolean",
        "cardinality(bigint[]) returns integer", "unnest(bigint[]) returns setof bigint",
        "unnest(text[]) returns setof text", "quote_ident(name) returns text",
    ]

    @Test("others' functions on the path are not run by who migrates, doctor, roles.sql, behind poolers")
    func planted() async throws {
        try await withPooler { pooled, url in
            try await withSQL(url) { sql in
                try await sql.run("create table public.ran (what text)")
                for function in Self.closer {
                    let type = function.split(separator: " ").last ?? ""
                    try await sql.run(
                        """
                        create function public.\(function) language plpgsql as $$
                        begin
                            insert into public.ran values ('\(function)');
                            \(function.contains("setof") ? "return" : "return null::\(type)");
                        end $$
                        """
                    )
                }
                try await Migrator(.quiet(url)).migrate()
                for url in [url, pooled] {
                    _ = try await Doctor(.quiet(url)).examine()
                    try await withJournal(.quiet(url), migrate: true) { journal in
                        let stream = try journal.stream("s")
                        let claim = try await stream.claim()
                        try await claim.stream.append(.close("a", .cancelled))
                        try await journal.transaction { tx in
                            try await tx.append(.close("b", .cancelled), to: claim.stream)
                        }
                        for try await _ in journal.streams() {}
                        for try await _ in journal.streams(status: .open) {}
                        #expect(try await claim.stream.replayIndex().coroutineIDs().count >= 2)
                        try await claim.stream.append(.close(.root, .cancelled))
                        for try await _ in stream.tail(untilClose: true) {}
                        for try await _ in journal.streams(status: .closed) {}
                        _ = try await journal.verify(stream.name)
                    }
                }
                try await Roles.make(in: sql)
                #expect(try await sql.run("select distinct what from public.ran") == [])
            }
        }
    }

    @Test("a schema that was renamed is not opened: its functions append where its old name leads")
    func renamed() async throws {
        try await withTestDatabase(migrated: false) { url in
            for name in ["tenant b", "plain"] {
                let (old, new) = (JournalConfiguration.with(url) { $0.schema = name }, JournalConfiguration.quiet(url))
                try await withJournal(old, migrate: true) { journal in
                    _ = try await journal.stream("s").append(.close("a", .cancelled))
                }
                try await withSQL(url) { try await $0.run("alter schema \"\(name)\" rename to durable_streams") }
                let error = await thrown { _ = try await Journal.open(new) }
                #expect(error?.code == .unfit)
                #expect(error?.message.contains("another name") == true)
                let diagnosis = try await Doctor(new).examinePatiently()
                #expect(diagnosis["schema name"]?.verdict == .problem)
                try await withSQL(url) { try await $0.run("alter schema durable_streams rename to \"\(name)\"") }
                try await withJournal(old) { journal in
                    let position = try await journal.stream("s").append(.close("b", .cancelled))
                    #expect(position == 1)
                }
            }
        }
    }

    @Test(
        "a schema whose functions' path was quoted, needed or not, has its name still",
        arguments: ["plain", "tenant b"]
    )
    func quoted(_ name: String) async throws {
        try await withTestDatabase(migrated: false) { url in
            let configuration = JournalConfiguration.with(url) { $0.schema = name }
            try await Migrator(configuration).migrate()
            try await withSQL(url) { sql in
                // As a dump is restored where that is set.
                try await sql.run("set quote_all_identifiers = on")
                try await sql.run("alter function \"\(name)\".claim(text, text) set search_path = \"\(name)\", pg_temp")
                let paths = try await sql.value("select proconfig from pg_proc where proname = 'claim'")
                #expect(paths.contains(#"\"pg_temp\""#), "\(paths)")
                // Of another function of that name it is not asked.
                try await sql.run(
                    "create function \"\(name)\".claim(integer) returns integer set search_path = x language sql as 'select 1'"
                )
            }
            try await withJournal(configuration) { journal in
                let position = try await journal.stream("s").append(.close(.root, .cancelled))
                #expect(position == 0)
            }
        }
    }

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
