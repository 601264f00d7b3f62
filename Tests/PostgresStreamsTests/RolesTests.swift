import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// The roles of `Migrations/roles.sql`: what a writer and a reader may do, and nothing else.
@Suite(
    "The roles",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "roles are created as a superuser")
)
struct RolesTests {
    @Test("a writer's journal appends, claims, reads, tails and resolves")
    func writer() async throws {
        try await Roles.with { roles in
            let writer = roles.writer
            try await withJournal(.quiet(writer)) { journal in
                let stream = try journal.stream("s")
                async let tailed = stream.tail(untilClose: true).reduce(into: 0) { count, _ in count += 1 }
                try await stream.append(.close("a", .cancelled))
                let claim = try await stream.claim()
                try await claim.stream.append(contentsOf: [.close("b", .cancelled), .close("root", .cancelled)])
                #expect(try await tailed == 3)
                #expect(try await stream.readAll().count == 3)
            }
        }
    }

    @Test("a reader's journal reads, lists and tails, and every append is refused")
    func reader() async throws {
        try await Roles.with { roles in
            let (owner, reader) = (roles.owner, roles.reader)
            let event = #"{"type":"close","coroutineId":"root","result":{"status":"ok"}}"#
            try await owner.run("select * from durable_streams.append('s', array['\(event)']::json[])")
            try await withJournal(.quiet(reader)) { journal in
                let stream = try journal.stream("s")
                #expect(try await stream.tail(untilClose: true).reduce(into: 0) { count, _ in count += 1 } == 1)
                #expect(try await stream.readAll().map(\.json.string) == [event])
                var names: [String] = []
                for try await summary in journal.streams() { names.append(summary.name.text) }
                #expect(names == ["s"])
                let appended = await thrown { try await stream.append(.close("root", .cancelled)) }
                #expect(appended?.sqlState == "42501")
                #expect(appended?.outcome == .notWritten)
                let claimed = await thrown { try await stream.claim() }
                #expect(claimed?.sqlState == "42501")
                for error in [appended, claimed] {
                    #expect(error?.message.hasSuffix("The role needs the rights of Migrations/roles.sql") == true)
                }
            }
        }
    }

    @Test(
        "neither a writer nor a reader can touch a table",
        arguments: [
            "insert into streams (name) values ('x')", "update streams set epoch = epoch + 1", "delete from streams",
            "insert into events select id, 1, now(), gen_random_uuid(), 'c', 'r', '1' from streams",
            "update events set event = '1'", "delete from events", "truncate events", "truncate streams",
            "delete from migrations", "update migrations set sha256 = null", "drop table events",
            "alter table events disable trigger all", "drop trigger events_positions_are_dense on events",
            "select * from streams for update", "create table more (a int)",
            "do $$ begin lock table events in exclusive mode; end $$",
            "alter function append_batch security invoker", "drop schema durable_streams cascade",
        ]
    )
    func tables(_ statement: String) async throws {
        try await Roles.with { roles in
            let (owner, writer, reader) = (roles.owner, roles.writer, roles.reader)
            let event = #"{"type":"close","coroutineId":"root","result":{"status":"ok"}}"#
            try await owner.run("select * from durable_streams.append('s', array['\(event)']::json[])")
            for role in [writer, reader] {
                try await withSQL(role) { sql in
                    try await sql.run("set search_path = durable_streams")
                    try await sql.run("set durable_streams.appending = on")
                    let refusal = try await sql.refusal(statement.replacing("append_batch", with: Self.appendBatch))
                    #expect(refusal == "42501")
                }
            }
            #expect(try await owner.run("select name, epoch from durable_streams.streams") == [["s", "0"]])
            #expect(try await owner.value("select count(*) from durable_streams.events") == "1")
        }
    }

    private static let appendBatch =
        #"append_batch(text[], bigint[], bigint[], boolean[], uuid[], integer[], integer[], "char"[], text[], json[], text)"#

    @Test("a reader cannot call what writes, and somebody without a role can call nothing")
    func functions() async throws {
        try await Roles.with { roles in
            let (owner, reader) = (roles.owner, roles.reader)
            let calls = [
                "append('s', array['{\"type\":\"close\",\"coroutineId\":\"r\",\"result\":{\"status\":\"ok\"}}']::json[])",
                "claim('s')",
                "resolve('s', gen_random_uuid(), 0)", "announce(array['s'])",
                "append_batch(null, null, null, null, null, null, null, null, null, null)",
                "append_next(null, null, null, null, null, null, null)",
            ]
            for call in calls {
                try await withSQL(reader) { sql in
                    let refusal = try await sql.refusal("select durable_streams.\(call)")
                    #expect(refusal == "42501", "\(call)")
                }
            }
            try await owner.run("grant usage on schema durable_streams to public")
            let server = try await TestServer.shared.server()
            try await owner.run("drop role if exists a_nobody")
            try await owner.run("create role a_nobody login")
            let database = try await owner.value("select current_database()")
            try await withSQL(server.databaseURL(database: database, user: "a_nobody")) { sql in
                for call in calls + ["read('s')"] {
                    let refusal = try await sql.refusal("select durable_streams.\(call)")
                    #expect(refusal == "42501", "\(call)")
                }
            }
        }
    }

    @Test("by names of their own they are this schema's alone, and making them twice changes nothing")
    func names() async throws {
        try await Roles.with { roles in
            let owner = roles.owner
            let number = try await owner.value("select oid from pg_database where datname = current_database()")
            let (writer, reader) = (#"it's "w" \#(number)"#, #"it's "r" \#(number)"#)
            try await owner.run("\\set writer \(writer.literal)")
            try await owner.run("\\set reader \(reader.literal)")
            for _ in 0..<2 { try await owner.run("\\i \(Roles.file.literal)") }
            let event = #"{"type":"close","coroutineId":"root","result":{"status":"ok"}}"#
            let append = "select * from durable_streams.append('s', array['\(event)']::json[])"
            try await owner.run(#"set role :"writer""#)
            #expect(try await owner.run(append) == [["written", "0", "0"]])
            try await owner.run(#"set role :"reader""#)
            #expect(try await owner.run("select position from durable_streams.read('s')") == [["0"]])
            #expect(try await owner.refusal(append) == "42501")
            try await owner.run("reset role")
            try await owner.run(#"drop owned by :"writer", :"reader""#)
            try await owner.run(#"drop role :"writer", :"reader""#)
        }
    }

    @Test("a writer's temporary tables do not pass for the journal's")
    func temporaryTables() async throws {
        try await Roles.with { roles in
            let (owner, writer) = (roles.owner, roles.writer)
            try await withSQL(writer) { sql in
                try await sql.run("create temporary table streams (like durable_streams.streams)")
                try await sql.run("create temporary table events (like durable_streams.events)")
                let event = #"{"type":"close","coroutineId":"root","result":{"status":"ok"}}"#
                try await sql.run("select * from durable_streams.append('s', array['\(event)']::json[])")
                try await sql.run("select * from durable_streams.claim('s')")
                #expect(try await sql.value("select count(*) from pg_temp.events") == "0")
                #expect(try await sql.value("select count(*) from pg_temp.streams") == "0")
            }
            #expect(try await owner.run("select name, epoch from durable_streams.streams") == [["s", "1"]])
        }
    }
}
