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
}
