import Foundation
import LibPQFloor
import PostgresStreams
import Synchronization
import TisynStreams

/// Measures appends through the journal beside the floors: what a C program does with libpq on the same table of the same
/// server. Rows come in the order they were measured; each of ours names the floor it is held against.
struct AppendBenchmark {
    let databaseURL: String
    let schema: String
    var writers = 64
    var streams = 64
    var seconds = 3.0

    /// An event of about 330 bytes, as contract §1 has them: input, sha and a nested result.
    static let eventText = """
        {"type":"yield","coroutineId":"root.0","description":{"type":"fraud-detector","name":"fraudCheck",\
        "input":{"userId":"u-123","amount":4200},\
        "sha":"8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"},\
        "result":{"status":"ok","value":{"score":0.25,"reasons":["new-device","amount"],"checks":{"geo":1,"velocity":[1,2,3]}}}}
        """

    // MARK: Floors

    /// (a): one INSERT per commit, a connection per writer.
    func floorSingle(writers: Int) async throws -> BenchmarkRow {
        let stream = nextFloorStreams(writers)
        let cpu = BenchmarkRow.processorTime()
        let figures = await onThread {
            floor_insert(databaseURL, quotedSchema, stream, Int32(writers), seconds, Self.eventText)
        }
        return try row("floor (a): INSERT × \(writers) connection\(writers == 1 ? "" : "s")", figures, since: cpu)
    }

    /// (b): one INSERT of `size` events per commit, each for another stream, over one connection.
    func floorBatch(_ size: Int) async throws -> BenchmarkRow {
        let stream = nextFloorStreams(size)
        let cpu = BenchmarkRow.processorTime()
        let figures = await onThread {
            floor_insert_batches(databaseURL, quotedSchema, stream, Int32(size), 0, seconds, Self.eventText)
        }
        return try row("floor (b): INSERT of \(size)", figures, since: cpu)
    }

    /// The floors block for as long as they measure: not on the cooperative pool.
    private func onThread(_ body: @escaping @Sendable () -> floor_figures) async -> floor_figures {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: body()) }
        }
    }

    private static let floorStreams = Atomic<Int>(-1)

    /// Below 0, where the journal has no streams.
    private func nextFloorStreams(_ count: Int) -> Int {
        Self.floorStreams.subtract(count, ordering: .relaxed).newValue
    }

    private var quotedSchema: String { "\"\(schema)\"" }

    private func row(_ name: String, _ figures: floor_figures, since cpu: Double) throws -> BenchmarkRow {
        var figures = figures
        let error = withUnsafeBytes(of: &figures.error) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        guard error.isEmpty else { throw BenchmarkError(description: "\(name): \(error)") }
        return BenchmarkRow(
            name: name,
            eventsPerSecond: figures.events_per_second,
            p50: figures.p50_microseconds,
            p99: figures.p99_microseconds,
            cpu: (BenchmarkRow.processorTime() - cpu) / max(1, figures.events_per_second * seconds)
        )
    }

    // MARK: Ours

    /// `writers` tasks, each awaiting its own appends, spread over `streams` streams.
    func append(
        _ journal: Journal,
        name: String,
        writers: Int,
        streams: Int,
        floor: BenchmarkRow?,
        run: String = String(UInt64.random(in: .min ... .max), radix: 16)
    ) async throws -> BenchmarkRow {
        let event = try DurableEvent(Self.eventText)
        return try await measure(name: name, workers: writers, floor: floor) { worker in
            let stream = try journal.stream("bench/\(run)/\(worker % streams)")
            return {
                try await stream.append(event)
                return 1
            }
        }
    }

    /// The same with a tail open on every stream, held against the row without.
    func appendTailed(
        _ journal: Journal,
        name: String,
        writers: Int,
        streams: Int,
        without: BenchmarkRow
    ) async throws -> BenchmarkRow {
        let run = String(UInt64.random(in: .min ... .max), radix: 16)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<streams {
                let tail = try journal.stream("bench/\(run)/\(number)").tail()
                group.addTask { for try await _ in tail {} }
            }
            let row = try await append(
                journal,
                name: name,
                writers: writers,
                streams: streams,
                floor: without,
                run: run
            )
            group.cancelAll()
            // Their errors say that they were cancelled.
            while await group.nextResult() != nil {}
            return row
        }
    }

    /// One task that appends batches, each awaited.
    func appendBatches(_ journal: Journal, of size: Int, floor: BenchmarkRow?) async throws -> BenchmarkRow {
        let events = [DurableEvent](repeating: try DurableEvent(Self.eventText), count: size)
        let stream = try journal.stream("bench/batch/\(UInt64.random(in: .min ... .max))")
        return try await measure(name: "1 writer, batches of \(size)", workers: 1, floor: floor) { _ in
            { try await stream.append(contentsOf: events).count }
        }
    }

    private func measure(
        name: String,
        workers: Int,
        floor: BenchmarkRow?,
        _ worker: @Sendable (Int) throws -> @Sendable () async throws -> Int
    ) async throws -> BenchmarkRow {
        let clock = ContinuousClock()
        let cpu = BenchmarkRow.processorTime()
        let begin = clock.now
        let end = begin + .seconds(seconds)
        let (samples, events): ([Double], Int) = try await withThrowingTaskGroup(of: ([Double], Int).self) { group in
            for number in 0..<workers {
                let step = try worker(number)
                group.addTask {
                    var samples: [Double] = []
                    var events = 0
                    var start = clock.now
                    while start < end {
                        events += try await step()
                        let now = clock.now
                        samples.append((now - start) / .microseconds(1))
                        start = now
                    }
                    return (samples, events)
                }
            }
            var samples: [Double] = []
            var events = 0
            for try await result in group {
                samples += result.0
                events += result.1
            }
            return (samples.sorted(), events)
        }
        let elapsed = (clock.now - begin) / .seconds(1)
        guard !samples.isEmpty else { throw BenchmarkError(description: "\(name): nothing was appended in time") }
        let rate = Double(events) / elapsed
        let p50 = samples[samples.count / 2]
        return BenchmarkRow(
            name: name,
            eventsPerSecond: rate,
            p50: p50,
            p99: samples[samples.count * 99 / 100],
            cpu: (BenchmarkRow.processorTime() - cpu) / Double(events),
            ratio: floor.map { rate / $0.eventsPerSecond },
            p50Ratio: floor.map { p50 / $0.p50 }
        )
    }
}

struct BenchmarkError: Error, CustomStringConvertible {
    var description: String
}
