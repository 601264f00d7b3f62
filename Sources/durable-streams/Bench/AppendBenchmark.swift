import Foundation
import LibPQFloor
import PostgresStreams
import Synchronization
import TisynStreams

/// Measures appends through a journal, and the floors: what a C program does with libpq on the same table of the same
/// server. Each measurement is one slice; which are held against which is said in `AppendBenchmark+Rows`.
struct AppendBenchmark: Sendable {
    let configuration: JournalConfiguration
    var writers = 64
    var streams = 64
    var seconds = 2.0
    var rounds = 5

    /// An event of about 330 bytes, as contract §1 has them: input, sha and a nested result.
    static let eventText = """
        {"type":"yield","coroutineId":"root.0","description":{"type":"fraud-detector","name":"fraudCheck",\
        "input":{"userId":"u-123","amount":4200},\
        "sha":"8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"},\
        "result":{"status":"ok","value":{"score":0.25,"reasons":["new-device","amount"],"checks":{"geo":1,"velocity":[1,2,3]}}}}
        """

    /// Names that no other measurement has: `count` streams to append to.
    static func newStreams(_ count: Int) throws -> [StreamName] {
        let run = String(UInt64.random(in: .min ... .max), radix: 36)
        return try (0..<count).map { try StreamName("bench/\(run)/\($0)") }
    }

    // MARK: Floors

    /// (a): one INSERT per commit, a connection per writer.
    ///
    /// - Parameter rate: how many a second, at random times; nil: one after the other.
    func insert(writers: Int, rate: Double? = nil) async throws -> BenchmarkFigures {
        let first = nextFloorStreams(writers)
        return try await floor { url, schema in
            floor_insert(url, schema, first, Int32(writers), rate ?? 0, seconds, Self.eventText)
        }
    }

    /// (b): one INSERT of 64 events per commit over one connection, each for another stream, or all for one.
    func insertBatches(toOneStream: Bool = false) async throws -> BenchmarkFigures {
        let first = nextFloorStreams(64)
        return try await floor { url, schema in
            floor_insert_batches(url, schema, first, 64, toOneStream ? 1 : 0, seconds, Self.eventText)
        }
    }

    private static let floorStreams = Atomic<Int>(-1)

    /// Below 0, where the journal has no streams.
    private func nextFloorStreams(_ count: Int) -> Int {
        Self.floorStreams.subtract(count, ordering: .relaxed).newValue
    }

    private func floor(_ body: @escaping @Sendable (String, String) -> floor_figures) async throws -> BenchmarkFigures {
        let cpu = BenchmarkFigures.processorTime()
        let (url, schema) = (configuration.databaseURL, "\"\(configuration.schema)\"")
        let figures = try await Floor.run { body(url, schema) }
        try Floor.check(figures.error)
        return BenchmarkFigures(
            perSecond: figures.events_per_second,
            p50: figures.p50_microseconds,
            p99: figures.p99_microseconds,
            cpu: (BenchmarkFigures.processorTime() - cpu) / max(1, figures.events_per_second * seconds)
        )
    }

    // MARK: Ours

    /// What a slice of ours came to.
    struct Measured: Sendable {
        var events = 0
        /// In seconds.
        var elapsed = 0.0
        /// What each call took, in microseconds.
        var samples: [Double] = []
    }

    /// `writers` tasks, each awaiting its own appends, spread over these streams.
    ///
    /// - Parameter rate: how many a second, at random times; nil: one after the other.
    func samples(
        _ journal: Journal,
        writers: Int,
        to streams: [StreamName],
        rate: Double? = nil
    ) async throws -> Measured {
        let event = try DurableEvent(Self.eventText)
        return try await measure(workers: writers, pause: rate.map { Double(writers) / $0 }) { worker in
            let stream = journal.stream(streams[worker % streams.count])
            return {
                try await stream.append(event)
                return 1
            }
        }
    }

    func append(
        _ journal: Journal,
        writers: Int,
        to streams: [StreamName],
        rate: Double? = nil
    ) async throws -> BenchmarkFigures {
        try await figures { try await samples(journal, writers: writers, to: streams, rate: rate) }
    }

    /// The same with the tasks on the thread that takes the answers.
    func appendOnThread(
        of journal: Journal,
        writers: Int,
        to streams: [StreamName]
    ) async throws -> BenchmarkFigures {
        try await withTaskExecutorPreference(journal.taskExecutor) {
            try await append(journal, writers: writers, to: streams)
        }
    }

    /// One task that appends batches, each awaited.
    func appendBatches(_ journal: Journal, of size: Int) async throws -> BenchmarkFigures {
        let events = [DurableEvent](repeating: try DurableEvent(Self.eventText), count: size)
        let stream = journal.stream(try Self.newStreams(1)[0])
        return try await figures {
            try await measure(workers: 1) { _ in { try await stream.append(contentsOf: events).count } }
        }
    }

    private func figures(_ body: () async throws -> Measured) async throws -> BenchmarkFigures {
        let cpu = BenchmarkFigures.processorTime()
        let measured = try await body()
        return try BenchmarkFigures(
            events: measured.events,
            elapsed: measured.elapsed,
            samples: measured.samples,
            cpu: BenchmarkFigures.processorTime() - cpu
        )
    }

    /// - Parameter pause: how long it is from one step of a worker to its next on average, in seconds; nil: nothing.
    private func measure(
        workers: Int,
        pause: Double? = nil,
        _ worker: @Sendable (Int) throws -> @Sendable () async throws -> Int
    ) async throws -> Measured {
        let steps = try (0..<workers).map(worker)
        // What is done once is not measured: connections, streams, where they end.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for step in steps { group.addTask { _ = try await step() } }
            try await group.waitForAll()
        }
        let clock = ContinuousClock()
        let begin = clock.now
        let end = begin + .seconds(seconds)
        var measured = try await withThrowingTaskGroup(of: Measured.self) { group in
            for step in steps {
                group.addTask {
                    var mine = Measured()
                    var start = clock.now
                    var due = begin
                    repeat {
                        if let pause {
                            due += .seconds(-log(Double.random(in: .leastNonzeroMagnitude...1)) * pause)
                            guard due < end else { break }
                            // One that has to wait for the last starts when it was due.
                            let isInTime = due > start
                            if isInTime { try await clock.sleep(until: due) }
                            start = isInTime ? clock.now : due
                        }
                        mine.events += try await step()
                        let now = clock.now
                        mine.samples.append((now - start) / .microseconds(1))
                        start = now
                    } while start < end
                    return mine
                }
            }
            return try await group.reduce(into: Measured()) { all, part in
                all.events += part.events
                all.samples += part.samples
            }
        }
        measured.elapsed = (clock.now - begin) / .seconds(1)
        return measured
    }
}
