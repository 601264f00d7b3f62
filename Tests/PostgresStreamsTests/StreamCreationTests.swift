import Testing
import TisynStreams

@testable import PostgresStreams

/// What a tail of all streams relies on to miss none.
@Suite("Creating streams", .timeLimit(.minutes(10)))
struct StreamCreationTests {
    @Test(
        "a transaction that has taken a stream's id has a number, though it waits for the stream's name",
        arguments: [
            "select claim('s')",
            """
            select append('s', array['{"type":"close","coroutineId":"root","result":{"status":"ok"}}']::json[])
            """,
        ]
    )
    func numbered(_ statement: String) async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                try await sql.run("set search_path = durable_streams")
                try await sql.letAppendsWait()
                try await sql.run("begin")
                try await sql.run("insert into streams (name) values ('s')")
                try await withSQL(url) { other in
                    try await other.run("set search_path = durable_streams")
                    let pid = try await other.integer("select pg_backend_pid()")
                    async let done = other.run(statement)
                    try await withSQL(url) { observer in
                        let waiting = "from pg_stat_activity where pid = \(pid) and wait_event_type = 'Lock'"
                        try await until { try await observer.integer("select count(*) \(waiting)") == 1 }
                        #expect(try await observer.value("select backend_xid is not null \(waiting)") == "t")
                        let ids = "select last_value from durable_streams.streams_id_seq"
                        #expect(try await observer.integer(ids) == 2)
                    }
                    try await sql.run("rollback")
                    _ = try await done
                }
            }
        }
    }

    @Test("an append that is refused creates no stream; one beside it that is not creates its own")
    func refused() async throws {
        try await withTestJournal { journal in
            let error = await thrown { try await journal.stream("s").append(.close("root", .cancelled), expecting: 3) }
            #expect(error?.code == .conflict)
            #expect(error?.actualPosition == 0)
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await sql.run("set search_path = durable_streams")
                let answers = try await sql.run(
                    """
                    select unnest(outcomes), unnest(positions), unnest(epochs), unnest(stream_ids) is null from append_batch(
                        array['a', 'b', 'c', 'd'], array[null, null, 4, null]::bigint[], array[0, 2, 0, 1],
                        array[true, true, true, false], array(select gen_random_uuid() from generate_series(1, 4)),
                        array[1, 2, 3, 4], array[0, 0, 0, 0], array['c', 'c', 'c', 'c']::"char"[],
                        array['root', 'root', 'root', 'root'], array['{}', '{}', '{}', '{}']::json[])
                    """
                )
                #expect(
                    answers == [
                        ["written", "0", "0", "f"], ["conflict", "0", "0", "t"], ["fenced", "", "0", "t"],
                        ["conflict", "0", "0", "t"],
                    ]
                )
                #expect(try await sql.run("select name from streams") == [["a"]])
            }
            // What was refused can be appended where the stream is, and then the stream is there.
            #expect(try await journal.stream("s").append(.close("root", .cancelled), expecting: 0) == 0)
        }
    }
}
