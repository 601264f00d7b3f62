import PostgresStreams
import Testing
import TisynStreams

/// What the SQL functions promise and the library alone would not notice.
@Suite("The SQL functions", .timeLimit(.minutes(10)))
struct SQLFunctionTests {
    private static let event = #"{"type":"close","coroutineId":"root","result":{"status":"ok"}}"#

    private func withSchema(_ body: (SQLSession) async throws -> Void) async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                try await sql.run("set search_path = durable_streams")
                try await body(sql)
            }
        }
    }

    /// One run by `append_batch` at that position or behind it: its outcome and position.
    private func batch(_ sql: SQLSession, token: String, position: Int) async throws -> [String] {
        try await sql.run(
            """
            select outcomes[1], positions[1] from append_batch(array['s'], array[null]::bigint[],
                array[\(position)]::bigint[], array[false], array['\(token)']::uuid[], array[1], array[0],
                array['c']::"char"[], array['root'], array['\(Self.event)']::json[])
            """
        ).first ?? []
    }

    private func fill(_ sql: SQLSession, _ count: Int) async throws {
        let events = "array(select '\(Self.event)'::json from generate_series(1, \(count)))"
        try await sql.run("select * from append('s', \(events))")
    }

    @Test("a run that is sent again is found, up to 1,000 past its position", arguments: [501, 700, 1000])
    func far(_ distance: Int) async throws {
        try await withSchema { sql in
            try await fill(sql, distance)
            let token = "00000000-0000-4000-8000-000000000001"
            #expect(try await batch(sql, token: token, position: 0) == ["written", "\(distance)"])
            try await fill(sql, 3)
            #expect(try await batch(sql, token: token, position: 0) == ["written", "\(distance)"])
            #expect(try await sql.integer("select count(*) from events") == distance + 4)
        }
    }

    @Test("further than that it is not looked for, and nothing is written")
    func behind() async throws {
        try await withSchema { sql in
            try await fill(sql, 1001)
            let token = "00000000-0000-4000-8000-000000000001"
            #expect(try await batch(sql, token: token, position: 0) == ["behind", "1001"])
            #expect(try await sql.integer("select count(*) from events") == 1001)
        }
    }

    @Test("after append_next in the same transaction an insert is checked")
    func afterNext() async throws {
        try await withSchema { sql in
            try await fill(sql, 1)
            try await sql.run("begin")
            let next = try await sql.value(
                """
                select append_next(array[e.stream_id], array[1]::bigint[], array[e.token], array[gen_random_uuid()],
                    array['c']::"char"[], array['root'], array['\(Self.event)']::json[])
                from events e
                """
            )
            #expect(next == "1")
            let insert = """
                insert into events select id, 9, now(), gen_random_uuid(), 'c', 'root', '\(Self.event)' from streams
                """
            #expect(try await sql.refusal(insert) == "23514")
            try await sql.run("rollback")
        }
    }

    @Test("after claim in the same transaction an insert is checked")
    func afterClaim() async throws {
        try await withSchema { sql in
            try await fill(sql, 1)
            try await sql.run("begin")
            try await sql.run("select * from claim('s')")
            let insert = """
                insert into events select id, 9, now(), gen_random_uuid(), 'c', 'root', '\(Self.event)' from streams
                """
            #expect(try await sql.refusal(insert) == "23503")
            try await sql.run("rollback")
        }
    }

    @Test("resolve that waits is refused at repeatable read")
    func resolveRR() async throws {
        try await withSchema { sql in
            try await sql.run("begin isolation level repeatable read")
            #expect(try await sql.refusal("select * from resolve('s', gen_random_uuid(), 0, true)") == "0A000")
            try await sql.run("rollback")
        }
    }

    @Test("resolve tells the end of a stream that ends before the position")
    func resolveEnd() async throws {
        try await withSchema { sql in
            try await fill(sql, 3)
            #expect(try await sql.value("select next_position from resolve('s', gen_random_uuid(), 5)") == "3")
            try await sql.run("select * from claim('s')")
            #expect(try await sql.value("select next_position from resolve('s', gen_random_uuid(), 0)") == "3")
        }
    }

    @Test("a description without a type is refused")
    func noType() async throws {
        try await withSchema { sql in
            let event = #"{"type":"yield","coroutineId":"root","description":{"name":"n"},"result":{"status":"ok"}}"#
            let refusal = try await sql.refusal("select * from append('s', array['\(event)']::json[])")
            #expect(refusal == "22023")
        }
    }

    @Test("events are not changed where positions are said to have been checked")
    func changed() async throws {
        try await withSchema { sql in
            try await fill(sql, 3)
            try await sql.run("set durable_streams.appending = on")
            #expect(try await sql.refusal("delete from events") == "55000")
            #expect(try await sql.refusal("update events set token = gen_random_uuid()") == "55000")
            #expect(try await sql.value("select count(*) from events") == "3")
        }
    }

    @Test("an append that named no position is resolved by its token alone, wherever it is")
    func resolvedByToken() async throws {
        try await withSchema { sql in
            let token = "'01234567-89ab-cdef-0123-456789abcdef'"
            try await fill(sql, 3)
            try await sql.run("select append('s', array['\(Self.event)']::json[], p_token => \(token))")
            for position in ["null", "0", "3"] {
                let resolved = "select position, next_position from resolve('s', \(token), \(position))"
                #expect(try await sql.run(resolved) == [["3", "4"]])
            }
            #expect(try await sql.refusal("select resolve('s', null, 0)") == "22023")
            #expect(try await sql.refusal("select resolve(null, \(token), 0)") == "22023")
            #expect(try await sql.value("select count(*) from read('s', null, null)") == "4")
        }
    }

    @Test("announce tells of more streams than a payload holds")
    func announceMany() async throws {
        try await withTestJournal { journal in
            let url = journal.configuration.databaseURL
            let streams = try (0..<900).map { try journal.stream("s\($0)") }
            try await withSQL(url) { sql in
                try await sql.run("set search_path = durable_streams")
                // Nobody looks for an hour: what is not announced does not come.
                try await withJournal(.with(url) { $0.listening.checkInterval = .seconds(3600) }) { other in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        let tails = try streams.map { try other.stream($0.name.text).tail() }
                        let states = other.listeningStates()
                        for tail in tails { group.addTask { for try await _ in tail { return } } }
                        for await state in states where state == .listening { break }
                        try await sql.run(
                            "select append('s' || n, array['\(Self.event)']::json[]) from generate_series(0, 899) n"
                        )
                        try await sql.run("select announce(array(select 's' || n from generate_series(0, 899) n))")
                        try await group.waitForAll()
                    }
                }
            }
        }
    }
}
