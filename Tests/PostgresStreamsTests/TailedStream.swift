import Testing
import TisynStreams

@testable import PostgresStreams

/// A journal with a tail of stream `s` that goes on all the time, and what it has delivered. For tests that do something
/// to the connections in between.
struct TailedStream {
    let journal: Journal
    let stream: PostgresStream
    /// The position of the next event delivered; nil at the end, and it throws what the tail ended with.
    let next: () async throws -> Int?

    /// Runs `body` with one, on a journal of this configuration.
    static func with<R: Sendable>(
        _ configuration: JournalConfiguration,
        _ body: (TailedStream) async throws -> R
    ) async throws -> R {
        try await withJournal(configuration) { journal in
            let stream = try journal.stream("s")
            let (positions, continuation) = AsyncThrowingStream.makeStream(of: Int.self)
            let tail = Task {
                do {
                    for try await event in stream.tail() { continuation.yield(event.position) }
                    continuation.finish()
                } catch { continuation.finish(throwing: error) }
            }
            defer { tail.cancel() }
            var iterator = positions.makeAsyncIterator()
            return try await body(
                TailedStream(journal: journal, stream: stream) { try await iterator.next() }
            )
        }
    }

    /// Appends such events by the given journal.
    static func append(_ range: Range<Int>, by journal: Journal) async throws {
        let stream = try journal.stream("s")
        for n in range { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
    }

    /// The same by a journal that ends then: what a journal appends itself its tails have without the server.
    func append(_ range: Range<Int>) async throws {
        try await stream.elsewhere { try await Self.append(range, by: $0.journal) }
    }

    /// Expects these to be delivered, in order.
    func expect(_ range: Range<Int>, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        for position in range {
            let delivered = try await next()
            #expect(delivered == position, sourceLocation: sourceLocation)
        }
    }
}

extension Journal {
    /// Waits for a state of listening.
    func untilState(_ matches: (ListeningState) -> Bool) async {
        for await state in listeningStates() where matches(state) { break }
    }

    func untilState(_ expected: ListeningState) async { await untilState { $0 == expected } }

    /// Waits until the only tail waits for its next event, and nothing is read for it.
    func untilTailWaits() async throws {
        try await until {
            tails.state.withLock { state in
                !state.deliveries.isEmpty && !state.registry.hasReady && !state.isReading[.following]
                    && !state.isReading[.catchingUp]
            }
        }
    }
}
