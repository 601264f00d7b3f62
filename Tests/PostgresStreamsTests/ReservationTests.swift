import PostgresStreams
import Testing
import TisynStreams

/// The row by which a claim keeps the next position: no event, wherever events are read.
@Suite("A claim's reservation", .timeLimit(.minutes(10)))
struct ReservationTests {
    private static let event = #"{"type":"close","coroutineId":"root","result":{"status":"ok"}}"#

    @Test("a tail passes it over, and has what replaces it", arguments: [1, 2])
    func reservation(_ count: Int) async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                try await sql.run("set search_path = durable_streams")
                try await withJournal(.quiet(url)) { ours in
                    let names = (0..<count).map { "s\($0)" }
                    var tails = try names.map { try ours.stream($0).tail().makeAsyncIterator() }
                    for position in 0..<4 {
                        for (index, name) in names.enumerated() {
                            try await sql.run("select * from append('\(name)', array['\(Self.event)']::json[])")
                            try await sql.run("select announce(array['\(name)'])")
                            #expect(try await tails[index].next()?.position == position)
                        }
                    }
                    try await sql.run("begin")
                    for name in names {
                        try await sql.run("select * from append('\(name)', array['\(Self.event)']::json[])")
                        try await sql.run("select * from claim('\(name)')")
                    }
                    try await sql.run("commit")
                    for name in names { try await sql.run("select announce(array['\(name)'])") }
                    for index in names.indices { #expect(try await tails[index].next()?.position == 4) }
                    for name in names {
                        let events = "array['\(Self.event)']::json[]"
                        try await sql.run("select * from append('\(name)', \(events), p_epoch => 1)")
                        try await sql.run("select announce(array['\(name)'])")
                    }
                    for index in names.indices {
                        let last = try await tails[index].next()
                        #expect(last?.position == 5)
                        #expect(last?.event.json.string == Self.event)
                    }
                }
            }
        }
    }

    @Test("a claimed stream is listed with its events only")
    func listed() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(DurableEvent(Self.event))
            _ = try await stream.claim()
            var counts: [Int] = []
            for try await summary in journal.streams() { counts.append(summary.eventCount) }
            #expect(counts == [1])
        }
    }
}
