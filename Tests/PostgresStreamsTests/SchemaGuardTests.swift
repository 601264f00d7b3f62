import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// What the schema promises against any SQL client, the owner of the tables included.
@Suite("The schema's guards", .serialized, .timeLimit(.minutes(10)))
struct SchemaGuardTests {
    private func withSchema(_ body: (SQLSession) async throws -> Void) async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                try await sql.run("set search_path = durable_streams")
                try await body(sql)
            }
        }
    }

    private static let event = #"{"type":"close","coroutineId":"root","result":{"status":"ok"}}"#

    private static let yield =
        #"{"type":"yield","coroutineId":"root","description":{"type":"t","name":"n","sha":"00"},"#
        + #""result":{"status":"error","error":{"message":"m","name":"a"}}}"#

    private func append(_ sql: SQLSession, _ stream: String, count: Int = 1) async throws {
        for _ in 0..<count { try await sql.run("select * from append('\(stream)', array['\(Self.event)']::json[])") }
    }

    private func insert(_ stream: String, position: Int, event: String = Self.event) -> String {
        """
        insert into events select id, \(position), now(), gen_random_uuid(), 'c', 'root', '\(event)' from streams
        where name = '\(stream)'
        """
    }

    /// Dense from 0 in every stream.
    private func expectDense(_ sql: SQLSession, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let broken = try await sql.integer(
            """
            select count(*) from (
                select count(*) as events, max(position) as last, min(position) as first from events group by stream_id
            ) s where events <> last + 1 or first <> 0
            """
        )
        #expect(broken == 0, "a stream has a gap", sourceLocation: sourceLocation)
    }

    @Test("an insert that would leave a gap, or go before the first position, is refused")
    func gaps() async throws {
        try await withSchema { sql in
            try await append(sql, "s", count: 2)
            #expect(try await sql.refusal(insert("s", position: 3)) == "23514")
            #expect(try await sql.refusal(insert("s", position: 9_000_000_000)) == "23514")
            #expect(try await sql.refusal(insert("s", position: -1)) == "23514")
            #expect(try await sql.refusal(insert("s", position: 1)) == "23505")
            #expect(try await sql.refusal(insert("s", position: 2)) == "00000")
            #expect(
                try await sql.refusal("insert into events select -1, 0, now(), gen_random_uuid(), 'c', 'r', '1'")
                    == "23503"
            )
            #expect(try await sql.value("select count(*) from events") == "3")
            try await expectDense(sql)
        }
    }

    @Test("after an append in the same transaction an insert is checked as ever")
    func insertAfterAppend() async throws {
        try await withSchema { sql in
            try await sql.run("begin")
            try await append(sql, "s")
            #expect(try await sql.refusal(insert("s", position: 5)) == "23514")
            try await sql.run("rollback")
        }
    }

    @Test(
        "events are neither changed nor deleted, streams not deleted",
        arguments: [
            "update events set event = '1'", "update events set position = position + 10", "delete from events",
            "delete from events where position = 1", "truncate events", "truncate events, streams", "truncate streams",
            "delete from streams", "update events set token = gen_random_uuid() where false",
            "update streams set epoch = epoch - 1", "update streams set name = 'other'",
            "insert into streams (name) values ('s') on conflict (name) do update set epoch = 0",
            "merge into events e using streams s on e.stream_id = s.id when matched then delete",
        ]
    )
    func changes(_ statement: String) async throws {
        try await withSchema { sql in
            if statement.hasPrefix("merge"), try await sql.integer("show server_version_num") < 150_000 { return }
            try await append(sql, "s", count: 3)
            try await sql.run("select * from claim('s')")
            #expect(try await sql.refusal(statement) == "55000")
            #expect(try await sql.run("select name, epoch from streams") == [["s", "1"]])
            let positions = "select string_agg(position::text || kind::text, ',' order by position) from events"
            #expect(try await sql.value(positions) == "0c,1c,2c,3r")
        }
    }

    @Test("a stream that was claimed takes no insert past the functions")
    func insertIntoClaimed() async throws {
        try await withSchema { sql in
            try await append(sql, "s")
            try await sql.run("select * from claim('s')")
            #expect(try await sql.refusal(insert("s", position: 1)) == "23503")
            #expect(try await sql.value("select string_agg(kind::text, '') from events") == "cr")
        }
    }

    @Test(
        "names and values that cannot be are refused",
        arguments: [
            ("insert into streams (name) values ('')", "23514"),
            ("insert into streams (name) values (repeat('n', 513))", "23514"),
            ("insert into streams (name, epoch) values ('s', -1)", "23514"),
            ("insert into streams (id, name) values (1, 's')", "428C9"),
            ("select * from append('', array['\(event)']::json[])", "23514"),
            ("select * from append(null, array['\(event)']::json[])", "22023"),
            ("select * from append('s', array[]::json[])", "22023"),
            ("select * from append('s', null)", "22023"),
            ("select * from append('s', array[null]::json[])", "22023"),
            ("select * from append('s', array['{}']::json[])", "22023"),
            ("select * from append('s', array['\(event)', '1']::json[])", "22023"),
            ("select * from append('s', array['[\(event)]']::json[])", "22023"),
            ("select * from append('s', array['\(event.replacing("close", with: "other"))']::json[])", "22023"),
            ("select * from append('s', array['\(event.replacing("close", with: "yield"))']::json[])", "22023"),
            ("select * from append('s', array['\(event.replacing("\"root\"", with: "5"))']::json[])", "22023"),
            ("select * from append('s', array['\(event.replacing("\"root\"", with: "{}"))']::json[])", "22023"),
            (
                "select * from append('s', array['\(event.replacing("{\"status\":\"ok\"}", with: "\"ok\""))']::json[])",
                "22023"
            ),
            ("select * from append('s', array['\(event.replacing("\"ok\"", with: "\"error\""))']::json[])", "22023"),
            ("select * from append('s', array['\(event.replacing("\"ok\"", with: "1"))']::json[])", "22023"),
            ("select * from append('s', array['\(Self.yield.replacing("\"00\"", with: "5"))']::json[])", "22023"),
            (
                "select * from append('s', array['\(Self.yield.replacing("\"a\"", with: "7"))']::json[])", "22023"
            ),
            ("select * from append('s', array['not json']::json[])", "22P02"),
        ]
    )
    func impossibleValues(_ statement: String, _ state: String) async throws {
        try await withSchema { sql in
            let refusal = try await sql.refusal(statement)
            #expect(refusal == state)
            #expect(try await sql.value("select count(*) from events") == "0")
        }
    }

    @Test("an event's JSON is kept byte for byte, whatever PostgreSQL could make of it")
    func bytes() async throws {
        let texts = [
            #" {"b":1, "a":2,"a":3 , "type":"yield","coroutineId":"root","description":{"type":"t","name":"n"},"result":{"status":"ok","value":1e400}} "#,
            #"{"type":"close","coroutineId":"root","result":{"status":"ok","value":[-0,1.0,1E2,12345678901234567890123]}}"#,
            #"{"t\u0079pe":"close","coroutineId":"\u0072oot","result":{"status":"cancelled"}}"#,
            #"{"type":"close","coroutineId":"\u0000\ud800","result":{"status":"error","error":{"message":"\u0000"}}}"#,
        ]
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            for text in texts { try await stream.append(DurableEvent(text)) }
            try await withSQL(journal.configuration.databaseURL) { sql in
                let stored = try await sql.run("select event from durable_streams.events order by position")
                #expect(stored == texts.map { [$0] })
            }
            #expect(try await stream.readAll().map(\.json.string) == texts)
        }
    }

    /// Arguments that no honest client sends. Whatever the answer is: no gap, and nothing written that was not asked for.
    @Test(
        "append_batch takes any arguments without leaving a gap or writing to a stream that was claimed",
        arguments: HostileBatch.all
    )
    func hostileBatches(_ batch: HostileBatch) async throws {
        try await withSchema { sql in
            try await append(sql, "open", count: 3)
            try await append(sql, "claimed", count: 2)
            try await sql.run("select * from claim('claimed')")
            try await sql.run("select * from claim('claimed')")
            let refusal = try await sql.refusal(batch.sql)
            if batch.isMisshapen { #expect(refusal == "22023") }
            try await expectDense(sql)
            // The claim's, where it was.
            #expect(try await sql.run("select position from events where kind = 'r'") == [["2"]])
            let claimed = """
                select count(*) from events e join streams s on s.id = e.stream_id
                where s.name = 'claimed' and e.kind <> 'r'
                """
            #expect(try await sql.value(claimed) == "2")
            #expect(try await sql.value("select epoch from streams where name = 'claimed'") == "2")
            try await append(sql, "open")
            try await expectDense(sql)
        }
    }

    @Test(
        "the view appends and append_next take any rows without leaving a gap or writing to a stream that was claimed",
        arguments: [
            "claimed, 2", "claimed, 3", "open, -1", "open, null", "open, 2", "open, 4", "open, 7",
            "open, 9223372036854775807",
            "null, 3", "12345, 3", "-1, 0", "12345, 0", "new, 0", "new, 1",
        ]
    )
    func hostileChains(_ place: String) async throws {
        try await withSchema { sql in
            try await append(sql, "open", count: 3)
            try await append(sql, "claimed", count: 2)
            try await append(sql, "new", count: 0)
            try await sql.run("select * from claim('claimed')")
            try await sql.run("set durable_streams.appending = on")
            let parts = place.split(separator: ", ")
            let id =
                Int(parts[0]) == nil && parts[0] != "null"
                ? "(select id from streams where name = '\(parts[0])')" : "\(parts[0])"
            let last = "(select token from events where stream_id = \(id) order by position desc limit 1)"
            let claimed = """
                select count(*) from events e join streams s on s.id = e.stream_id
                where s.name = 'claimed' and e.kind <> 'r'
                """
            let count = try await sql.value(claimed)
            for event in [
                ["'c'", "'r'", "'{}'"], ["'x'", "'r'", "'{}'"], ["'r'", "'r'", "'{}'"], ["null", "'r'", "'{}'"],
                ["'c'", "null", "'{}'"], ["'c'", "'r'", "null"],
            ] {
                for previous in [last, "gen_random_uuid()", "null"] {
                    for token in ["gen_random_uuid()", "null"] {
                        let values = [id, "\(parts[1])", previous, token] + event
                        _ = try await sql.refusal("insert into appends values (\(values.joined(separator: ", ")))")
                        _ = try await sql.refusal(Self.appendNext(values))
                    }
                }
            }
            try await expectDense(sql)
            #expect(try await sql.value(claimed) == count)
        }
    }

    /// The function that does what an insert of these values into the view does.
    private static func appendNext(_ values: [String]) -> String {
        let types = ["bigint", "bigint", "uuid", "uuid", "\"char\"", "text", "json"]
        let arrays = zip(values, types).map { "array[\($0)]::\($1)[]" }
        return "select append_next(\(arrays.joined(separator: ", ")))"
    }

    @Test("append_next with arrays of different lengths leaves no gap, and writes whole rows only")
    func hostileArrays() async throws {
        try await withSchema { sql in
            try await append(sql, "s", count: 2)
            for index in 0..<7 {
                for change in ["null", "'{}'", "ARRAY || ARRAY"] {
                    let next = try await sql.integer("select max(position) + 1 from events")
                    var arrays = [
                        "array[(select id from streams where name = 's')]", "array[\(next)::bigint]",
                        "array[(select token from events order by position desc limit 1)]", "array[gen_random_uuid()]",
                        "array['c']::\"char\"[]", "array['r']", "array['{}']::json[]",
                    ]
                    arrays[index] = change.replacing("ARRAY", with: arrays[index])
                    _ = try await sql.refusal("select append_next(\(arrays.joined(separator: ", ")))")
                    try await expectDense(sql)
                    let count = try await sql.integer("select count(*) from events")
                    // What is too much in one array belongs to no row.
                    #expect(change.hasPrefix("ARRAY") ? count <= next + 1 : count == next, "\(arrays)")
                }
            }
            let isAppending = "select coalesce(current_setting('durable_streams.appending', true), '')"
            #expect(try await sql.value(isAppending) == "")
        }
    }

    @Test("append_next answers how many rows it wrote: those left out, since their predecessor is not there, are not")
    func writtenRows() async throws {
        try await withSchema { sql in
            for stream in ["a", "b"] { try await append(sql, stream) }
            func next(_ rows: [(stream: String, position: Int)]) async throws -> String {
                func array(_ element: (String) -> String) -> String {
                    "array[\(rows.map { element("(select id from streams where name = '\($0.stream)')") }.joined(separator: ", "))]"
                }
                let arrays = [
                    array { $0 }, "array\(rows.map(\.position))::bigint[]",
                    array { "(select token from events where stream_id = \($0) order by position desc limit 1)" },
                    array { _ in "gen_random_uuid()" }, array { _ in "'c'" } + "::\"char\"[]", array { _ in "'r'" },
                    array { _ in "'{}'" } + "::json[]",
                ]
                return try await sql.value("select append_next(\(arrays.joined(separator: ", ")))")
            }
            #expect(try await next([("a", 5)]) == "0")
            #expect(try await next([("a", 1), ("b", 5)]) == "1")
            #expect(try await next([("a", 2), ("b", 1)]) == "2")
            #expect(try await sql.value("select count(*) from events") == "5")
            try await expectDense(sql)
        }
    }

    /// A value can be given as an expression that answers something else each time. How often the server asks for it is not
    /// to matter: what is checked is what is written.
    @Test(
        "an append through the view whose values change under way goes where it was checked to go",
        arguments: ["position", "stream_id", "kind", "previous"],
        ["volatile", "stable"]
    )
    func shiftingValues(_ column: String, _ volatility: String) async throws {
        try await withSchema { sql in
            try await append(sql, "open", count: 3)
            try await append(sql, "claimed", count: 2)
            try await sql.run("select * from claim('claimed')")
            try await sql.run("select * from append('claimed', array['\(Self.event)']::json[], null, 1)")
            try await sql.run("set durable_streams.appending = on")
            func id(_ stream: String) -> String { "(select id from streams where name = '\(stream)')" }
            func last(_ stream: String) -> String {
                "(select token from events where stream_id = \(id(stream)) order by position desc limit 1)"
            }
            var values = [
                "stream_id": id("open"),
                "position": "(select max(position) + 1 from events where stream_id = \(id("open")))",
                "previous": last("open"), "kind": "'c'",
            ]
            let others = ["stream_id": id("claimed"), "position": "77", "previous": last("claimed"), "kind": "'r'"]
            let types = ["stream_id": "bigint", "position": "bigint", "previous": "uuid", "kind": "\"char\""]
            let (value, other, type) = try #require(
                values[column].flatMap { value in others[column].flatMap { o in types[column].map { (value, o, $0) } } }
            )
            try await sql.run("create temporary sequence calls")
            values[column] = "pg_temp.shifting()"
            let columns = values.keys.sorted()
            for honest in 1...5 {
                try await sql.run(
                    """
                    create or replace function pg_temp.shifting() returns \(type) language plpgsql \(volatility) as $$
                    begin
                        return case when nextval('pg_temp.calls') <= \(honest) then \(value) else \(other) end;
                    end $$
                    """
                )
                try await sql.run("select setval('pg_temp.calls', 1, false)")
                _ = try await sql.refusal(
                    """
                    insert into appends (token, coroutine_id, event, \(columns.joined(separator: ", ")))
                    values (gen_random_uuid(), 'r', '{}', \(columns.compactMap { values[$0] }.joined(separator: ", ")))
                    """
                )
                try await expectDense(sql)
                #expect(try await sql.integer("select count(*) from events where stream_id = \(id("claimed"))") == 3)
                #expect(try await sql.integer("select count(*) from events where kind = 'r'") == 0)
            }
            // Otherwise this proves nothing.
            #expect(try await sql.integer("select count(*) from events where stream_id = \(id("open"))") > 3)
        }
    }

    @Test("who names no synchronous_commit, or null, gets a durable commit whatever the session says")
    func durabilityOfNull() async throws {
        try await withSchema { sql in
            let append = "append('s', array['\(Self.event)']::json[]"
            for call in [
                "\(append))", "\(append), p_synchronous_commit => null)", "claim('s')", "claim('s', null)",
                "resolve('s', gen_random_uuid(), 0)", "resolve('s', gen_random_uuid(), 0, false, null)",
                "append_next('{}', '{}', '{}', '{}', '{}', '{}', '{}')",
                "append_next('{}', '{}', '{}', '{}', '{}', '{}', '{}', null)",
            ] {
                try await sql.run("set synchronous_commit = off")
                try await sql.run("begin")
                try await sql.run("select * from \(call)")
                #expect(try await sql.value("select current_setting('synchronous_commit')") == "on", "\(call)")
                try await sql.run("rollback")
            }
        }
    }

    @Test(
        "through the view, and by append_next, an append goes behind its predecessor or nowhere",
        arguments: [false, true]
    )
    func chains(byFunction: Bool) async throws {
        try await withSchema { sql in
            try await append(sql, "s", count: 2)
            try await sql.run("set durable_streams.appending = on")
            let id = try await sql.value("select id from streams where name = 's'")
            let last = try await sql.value("select token from events order by position desc limit 1")
            let first = try await sql.value("select token from events order by position limit 1")
            /// How many events there are then, and the SQLSTATE.
            func insert(_ position: Int, behind previous: String, kind: String = "c") async throws -> [String] {
                let values = [id, "\(position)", "'\(previous)'", "gen_random_uuid()", "'\(kind)'", "'r'", "'{}'"]
                let state = try await sql.refusal(
                    byFunction
                        ? Self.appendNext(values) : "insert into appends values (\(values.joined(separator: ", ")))"
                )
                return [try await sql.value("select count(*) from events where kind <> 'r'"), state]
            }
            #expect(try await insert(3, behind: last) == ["2", "00000"])
            #expect(try await insert(1, behind: last) == ["2", "00000"])
            #expect(try await insert(1, behind: first) == ["2", "23505"])
            #expect(try await insert(2, behind: last, kind: "r") == ["2", "23502"])
            #expect(try await insert(2, behind: last, kind: "x") == ["2", "23514"])
            #expect(try await insert(2, behind: last) == ["3", "00000"])
            #expect(try await insert(3, behind: last) == ["3", "00000"])
            let newest = try await sql.value("select token from events order by position desc limit 1")
            try await sql.run("select * from claim('s')")
            #expect(try await insert(3, behind: newest) == ["3", "23505"])
            try await sql.run("select * from append('s', array['\(Self.event)']::json[], null, 1)")
            #expect(try await insert(3, behind: newest) == ["4", "23505"])
            #expect(try await insert(4, behind: newest) == ["4", "00000"])
            try await expectDense(sql)
        }
    }

    @Test("the place a claim reserved goes to the next claim or to its claimer's append, and to nothing else")
    func reservation() async throws {
        try await withSchema { sql in
            try await append(sql, "s", count: 1)
            for _ in 0..<3 { try await sql.run("select * from claim('s')") }
            #expect(
                try await sql.run("select position, kind from events order by position") == [["0", "c"], ["1", "r"]]
            )
            for statement in ["delete from events where kind = 'r'", "update events set position = 7 where kind = 'r'"]
            {
                #expect(try await sql.refusal(statement) == "55000", "\(statement)")
            }
            #expect(try await sql.value("select outcome from append('s', array['\(Self.event)']::json[])") == "fenced")
            #expect(
                try await sql.value("select position from append('s', array['\(Self.event)']::json[], null, 3)") == "1"
            )
            #expect(try await sql.value("select count(*) from events where kind = 'r'") == "0")
            #expect(try await sql.value("select position from claim('s')") == "2")
            #expect(try await sql.value("select count(*) from read('s')") == "2")
        }
    }
}
