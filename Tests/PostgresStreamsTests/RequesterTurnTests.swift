import Testing

@testable import PostgresStreams

/// Whose turn it is among requests that wait for locks.
@Suite("Requests that wait for locks", .timeLimit(.minutes(10)))
struct RequesterTurnTests {
    @Test("one whose stream is free is answered, though more are held than there are places on the wire")
    func manyHeld() async throws {
        try await withTestDatabase { url in
            let options = Link.Options(.quiet(url), try SchemaName("durable_streams"))
            let requester = Requester(options)
            defer { requester.close() }
            func wait(for stream: String) async throws(JournalError) {
                let command = options.statements.locking(StreamName(trusting: stream))
                _ = try await requester.request([command], within: .seconds(1200), waitsForLock: true)
            }
            guard #available(macOS 26, *) else { return }
            try await withSQL(url) { sql in
                let names = (0..<20).map { "h\($0)" }
                for name in names {
                    try await sql.run("select pg_advisory_lock(hashtextextended('durable_streams/\(name)', 0))")
                }
                let held = names.map { name in Task.immediate { try await wait(for: name) } }
                try await wait(for: "free")
                try await sql.run("select pg_advisory_unlock_all()")
                for task in held { try await task.value }
            }
        }
    }

    @Test("a connection is not taken for dead sooner than a second after it owes an answer, or later than ten")
    func longestSilence() {
        func silence(_ time: Duration?) -> Duration {
            Requester.Request(
                id: 1,
                turn: 1,
                commands: [],
                deadline: time.map { .now + $0 },
                waitsForLock: true,
                finalStates: [],
                completion: { _ in }
            ).longestSilence
        }
        #expect(silence(nil) == .seconds(10))
        #expect(silence(.seconds(60)) == .seconds(10))
        #expect(silence(.milliseconds(5)) == .seconds(1))
        #expect(silence(.milliseconds(-5)) == .seconds(1))
    }
}
