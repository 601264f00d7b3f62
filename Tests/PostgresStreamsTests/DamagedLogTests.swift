import Testing
import TisynStreams

@testable import PostgresStreams

/// Logs that no writer can bring about: something else took events away.
@Suite("A log with a hole", .timeLimit(.minutes(10)))
struct DamagedLogTests {
    /// A stream of so many events, without those at some positions.
    private func withHole(
        in count: Int,
        where hole: String,
        _ body: (PostgresStream, SQLSession) async throws -> Void
    ) async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                let stream = try journal.stream("s")
                try await stream.append(contentsOf: (0..<count).map { .close(CoroutineID("\($0)"), .ok(nil)) })
                try await withSQL(url) { sql in
                    try await sql.run("set search_path = durable_streams")
                    try await sql.run("set session_replication_role = replica")
                    try await sql.run("delete from events where \(hole)")
                    try await body(stream, sql)
                }
            }
        }
    }

    @Test(
        "it is neither taken for the log's end nor passed over, by whoever reads or replays",
        arguments: [
            // In the middle of the first page, at its end, over all of it, and at the log's beginning; behind it; one in two.
            ("position = 50", 50), ("position = 127", 127), ("position < 200", 0), ("position = 0", 0),
            ("position between 100 and 140", 100), ("position = 150", 150), ("position % 2 = 1", 1),
        ]
    )
    func reading(_ hole: String, first: Int) async throws {
        try await withHole(in: 300, where: hole) { stream, _ in
            let all = await thrown { try await stream.readAll() }
            #expect(all?.code == .logDamaged)
            var next = 0
            let paged = await thrown {
                for try await event in stream.read() {
                    #expect(event.position == next)
                    next += 1
                }
            }
            #expect(paged?.code == .logDamaged)
            #expect(
                paged?.message.contains("stream s: position \(first) is missing") == true,
                "\(paged?.message ?? "")"
            )
            // All before it is good.
            #expect(next == first)
            let replay = await thrown { try await stream.replayIndex().coroutines() }
            #expect(replay?.code == .logDamaged || replay?.code == .logReplaced, "\(replay.map { "\($0)" } ?? "none")")
        }
    }

    @Test("a tail ends there, whether it reads one event at a time or many")
    func tailing() async throws {
        try await withHole(in: 300, where: "position = 50 or position = 200") { stream, _ in
            for (start, first) in [(0, 50), (51, 200), (100, 200)] {
                var next = start
                let error = await thrown {
                    for try await event in stream.tail(from: .position(start)) {
                        #expect(event.position == next)
                        next += 1
                    }
                }
                #expect(error?.code == .logDamaged)
                #expect(next == first)
                #expect(error?.message.contains("position \(first) is missing") == true)
            }
        }
    }

    @Test("behind the hole, and where there is none, all is as it was")
    func beside() async throws {
        try await withHole(in: 300, where: "position = 50") { stream, _ in
            var count = 0
            for try await _ in stream.read(from: 51) { count += 1 }
            #expect(count == 249)
            var none = stream.read(from: 300).makeAsyncIterator()
            #expect(try await none.next() == nil)
        }
        try await withHole(in: 128, where: "false") { stream, _ in
            let events = try await stream.readAll()
            #expect(events.count == 128)
            let coroutines = try await stream.replayIndex().coroutines()
            #expect(coroutines.count == 128)
        }
    }

    @Test("a row at the greatest position of all is found, and keeps nobody from the other streams")
    func greatest() async throws {
        try await withHole(in: 3, where: "false") { stream, sql in
            try await sql.run("insert into streams (name) values ('forged')")
            try await sql.run(
                """
                insert into events select id, 9223372036854775807, now(), gen_random_uuid(), 'c', 'root',
                    '{"type":"close","coroutineId":"root","result":{"status":"ok"}}' from streams where name = 'forged'
                """
            )
            let forged = try stream.journal.stream("forged")
            await #expect(throws: LogFault.self) { try await stream.journal.verify(forged.name) }
            #expect(try await stream.journal.verify(stream.name) == 3)
            var names: [String] = []
            for try await info in stream.journal.streams() { names.append(info.name.text) }
            #expect(names == ["forged", "s"])
            let replay = await thrown { try await forged.replayIndex().coroutines() }
            #expect(replay?.code == .logDamaged)
        }
    }
}
