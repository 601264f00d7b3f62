import PostgresStreams
import TisynStreams

/// Many writers while every stream is tailed in the same process.
extension AppendBenchmark {
    /// How long the tails may take to have all, once all is appended.
    private static let patience = Duration.seconds(60)

    /// Appends with a tail open on every stream. What is measured begins when each tail has had its first event.
    ///
    /// - Throws: `BenchmarkError` where a tail has not delivered each event of its stream, once and in order.
    func appendTailed(_ journal: Journal, writers: Int, to names: [StreamName]) async throws -> BenchmarkFigures {
        let streams = names.map { journal.stream($0) }
        let event = try DurableEvent(Self.eventText)
        for stream in streams { try await stream.append(event) }
        let (firsts, continuation) = AsyncStream.makeStream(of: Void.self)
        return try await withThrowingTaskGroup(of: Int?.self) { group in
            for stream in streams {
                group.addTask {
                    // One that fails before its first event: nobody waits for ever.
                    defer { continuation.finish() }
                    return try await Self.follow(stream) { continuation.yield() }
                }
            }
            for await _ in firsts.prefix(streams.count) {}
            let figures = try await append(journal, writers: writers, to: names)
            for stream in streams { try await stream.append(.close(.root, .ok(nil))) }
            group.addTask {
                try await Task.sleep(for: Self.patience)
                return nil
            }
            var delivered = 0
            for _ in streams {
                guard let count = try await group.next() ?? nil else {
                    throw BenchmarkError(description: "tails had not all events \(Self.patience) after the last")
                }
                delivered += count
            }
            group.cancelAll()
            var appended = 0
            for stream in streams { appended += try await stream.nextPosition() }
            guard delivered == appended else {
                throw BenchmarkError(description: "tails delivered \(delivered) of \(appended) events")
            }
            return figures
        }
    }

    /// How many events a tail delivers until the stream's root closes.
    private static func follow(_ stream: PostgresStream, _ hasFirst: () -> Void) async throws -> Int {
        var count = 0
        for try await recorded in stream.tail(untilClose: true) {
            guard recorded.position == count else {
                throw BenchmarkError(description: "a tail lost an event, or had one twice")
            }
            count += 1
            if count == 1 { hasFirst() }
        }
        return count
    }
}
