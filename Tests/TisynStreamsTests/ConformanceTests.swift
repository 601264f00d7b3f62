import StreamConformance
import Synchronization
import Testing
import TisynStreams

@Suite("The in-memory stream", .timeLimit(.minutes(10)))
struct ConformanceTests {
    @Test("keeps the contract of every stream", arguments: ConformanceCheck.checks(of: InMemoryBackend.self))
    func conforms(check: ConformanceCheck) async throws {
        try await check.run(on: InMemoryBackend())
    }
}

/// In-memory streams by name, which live as long as this value.
private final class InMemoryBackend: StreamBackend, FailureInjecting {
    private struct Refused: Error {}

    private let streams = Mutex<[String: InMemoryStream]>([:])

    func withStream<R: Sendable>(
        named name: String,
        _ body: (InMemoryStream) async throws -> R
    ) async throws -> R {
        let stream = streams.withLock { streams in
            let stream = streams[name] ?? InMemoryStream()
            streams[name] = stream
            return stream
        }
        return try await body(stream)
    }

    func failNextAppend(to stream: InMemoryStream, afterRecording: Bool) {
        stream.failAppends(with: Refused(), afterRecording: afterRecording)
    }
}
