import PostgresStreams
import Testing
import TisynStreams

@Suite("Bodies on the caller's actor", .timeLimit(.minutes(10)))
struct IsolationTests {
    /// That it compiles is the half of it: the bodies use what only the actor may.
    private actor Worker {
        private var positions: [Int] = []

        func work(_ url: String) async throws -> [Int] {
            try await withJournal(.quiet(url)) { journal in
                assertIsolated()
                let stream = try journal.stream("s")
                for _ in 0..<2 {
                    try await journal.transaction(isolation: .serializable) { tx in
                        assertIsolated()
                        positions.append(try await tx.append(.close(.root, .ok(nil)), to: stream))
                    }
                }
                positions.append(try await stream.nextPosition())
            }
            return positions
        }
    }

    @Test("a journal and a transaction are used from where they were asked for")
    func isolation() async throws {
        let positions = try await withTestDatabase { url in try await Worker().work(url) }
        #expect(positions == [0, 1, 2])
    }
}
