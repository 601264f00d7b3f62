import PostgresStreams
import StreamConformance
import Testing
import TisynStreams

@Suite("The PostgreSQL stream", .timeLimit(.minutes(10)))
struct ConformanceTests {
    @Test("keeps the contract of every stream", arguments: ConformanceCheck.checks(of: PostgresBackend.self))
    func conforms(check: ConformanceCheck) async throws {
        try await check.run(on: PostgresBackend(databaseURL: try await TestServer.shared.database()))
    }
}

/// Streams of one database; each time one is opened, by a journal of its own, as another process would.
struct PostgresBackend: BatchAppending, PositionExpecting, Tailing, Claiming {
    let databaseURL: String

    func withStream<R: Sendable>(
        named name: String,
        _ body: (PostgresStream) async throws -> R
    ) async throws -> R {
        try await withJournal(.quiet(databaseURL)) { journal in
            try await body(try journal.stream(name))
        }
    }

    func append(contentsOf events: [DurableEvent], to stream: PostgresStream) async throws -> Range<Int> {
        try await stream.append(contentsOf: events)
    }

    func append(_ event: DurableEvent, to stream: PostgresStream, expecting position: Int) async throws -> Int {
        try await stream.append(event, expecting: position)
    }

    func tail(_ stream: PostgresStream, from position: Int) -> AsyncMapSequence<Tail, DurableEvent> {
        stream.tail(from: .position(position)).map(\.event)
    }

    func claim(_ stream: PostgresStream) async throws -> PostgresStream {
        try await stream.claim().stream
    }
}
