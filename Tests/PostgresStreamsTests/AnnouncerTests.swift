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
            // An announcement does not wait for long where there is no connection.
            _ = try await announcer.requester.open(within: configuration.openTimeout)
            var iterator = payloads.makeAsyncIterator()
            try await body(announcer) { await iterator.next() }
        }
    }

    @Test("what it announces they have been told of, unless that is disowned")
    func own() async throws {
        try await withAnnouncer { announcer, heard in
            let stream = try StreamName("s")
            for _ in 0..<3 {
                announcer.announce([stream])
                let payload = try #require(await heard())
                #expect(Array(payload) == [stream.digest])
                #expect(announcer.wasTold(payload))
                announcer.disown()
                #expect(!announcer.wasTold(payload))
            }
            #expect(!announcer.wasTold(HintPayload(digests: [stream.digest])))
            #expect(!announcer.wasTold(HintPayload(digests: [stream.digest], number: 1)))
        }
    }

    @Test("an announcement that was lost with what it was behind, which may be committed yet, is repeated as nobody's")
    func repeated() async throws {
        try await withAnnouncer { announcer, heard in
            let stream = try StreamName("s")
            let batch = announcer.batch(behind: 1, to: [stream])
            batch?.completion(.failure(.connectionLost(.init(.network, "cut"), sent: true)))
            let payload = try #require(await heard())
            #expect(Array(payload) == [stream.digest])
            #expect(!announcer.wasTold(payload))
            announcer.announce([stream])
            #expect(announcer.wasTold(try #require(await heard())))
        }
    }
}
