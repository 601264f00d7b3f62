import Synchronization
import Testing
import TisynStreams

@testable import PostgresStreams

/// Whose notifications the tails of the same journal may pass over.
@Suite("Announcing", .timeLimit(.minutes(10)))
struct AnnouncerTests {
    /// An announcer, and what is notified one after the other.
    private func withAnnouncer(
        _ body: (_ announcer: Announcer, _ heard: () async -> HintPayload?) async throws -> Void
    ) async throws {
        try await withTestDatabase { url in
            let configuration = JournalConfiguration.quiet(url)
            let options = Link.Options(configuration, try SchemaName(configuration.schema))
            let (payloads, continuation) = AsyncStream.makeStream(of: HintPayload.self)
            let listening = try await Conversation.open(
                configuration.session(to: url),
                within: configuration.openTimeout
            ) { notification in
                if let notification { continuation.yield(HintPayload(notification.payload)) }
            }
            defer { listening.close() }
            try await listening.run("listen durable_streams")
            let announcer = Announcer(options)
            defer { announcer.close() }
            var iterator = payloads.makeAsyncIterator()
            try await body(announcer) { await iterator.next() }
        }
    }

    @Test("what it announces is the journal's own, until that is disowned")
    func own() async throws {
        try await withAnnouncer { announcer, heard in
            let stream = try StreamName("s")
            announcer.announce([stream])
            var payload = await heard()
            #expect(payload?.isFrom(announcer.sender) == true)
            #expect(payload.map(Array.init) == [stream.digest])
            announcer.disown()
            #expect(payload?.isFrom(announcer.sender) == false)
            announcer.announce([stream])
            payload = await heard()
            #expect(payload?.isFrom(announcer.sender) == true)
        }
    }

    @Test("an announcement that was lost with what it was behind, which may be committed yet, is repeated as nobody's")
    func repeated() async throws {
        try await withAnnouncer { announcer, heard in
            let stream = try StreamName("s")
            let batch = announcer.batch(behind: 1, to: [stream])
            batch?.completion(.failure(.connectionLost(.init(.network, "cut"), sent: true)))
            let payload = await heard()
            #expect(payload?.isFrom(announcer.sender) == false)
            #expect(payload.map(Array.init) == [stream.digest])
            announcer.announce([stream])
            #expect(await heard()?.isFrom(announcer.sender) == true)
        }
    }
}
