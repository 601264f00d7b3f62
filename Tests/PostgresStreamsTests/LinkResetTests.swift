import Testing

@testable import PostgresStreams

@Suite("A link that is reset", .timeLimit(.minutes(10)))
struct LinkResetTests {
    @Test("on behalf of a session that it no longer has keeps the one it has")
    func another() async throws {
        try await withTestDatabase { url in
            let (ready, continuation) = AsyncStream.makeStream(of: Void.self)
            let link = Link(Link.Options(.quiet(url), try SchemaName("durable_streams"))) { event in
                if case .ready = event { continuation.yield() }
                return true
            }
            defer { link.close() }
            link.start()
            var iterator = ready.makeAsyncIterator()
            await iterator.next()
            let first = try #require(link.session)
            link.reset(ifStill: first)
            await iterator.next()
            let second = try #require(link.session)
            #expect(first !== second)
            link.reset(ifStill: first)
            #expect(second.isOpen)
            #expect(link.session === second)
        }
    }
}
