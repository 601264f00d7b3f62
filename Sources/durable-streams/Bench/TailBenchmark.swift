import Foundation
import LibPQFloor
import PostgresStreams
import Synchronization
import TisynStreams

/// Measures tails in another process beside what a C program does with LISTEN, poll and SELECT on the same server.
struct TailBenchmark: Sendable {
    let configuration: JournalConfiguration
    var seconds = 2.0
    var rounds = 5

    private static let floorStreams = Atomic<Int>(-1_000_000_000)

    var databaseURL: String { configuration.databaseURL }

    var quotedSchema: String { "\"\(configuration.schema)\"" }

    func prefix() -> String { "bench/tail/\(String(UInt64.random(in: .min ... .max), radix: 36))/" }

    // MARK: Appends at a rate

    /// `rate` appends a second in turn over `tails` streams: from the append's start, and from its answer, to delivery.
    ///
    /// A NOTIFY wakes the server's processes of all that listen in a database, so that while one side is measured there is
    /// nothing of the other's. Each slice has a reader of its own, a process on either side.
    func paced(_ journal: Journal, tails: Int, rate: Double) async throws -> [TailBenchmarkRow] {
        try await TailBenchmarkRow.inTurn(
            rounds,
            ratiosOf: ["startP50", "startP99", "acknowledgedP50", "acknowledgedP99"]
        ) {
            try await pacedFloor(tails: tails, rate: rate)
        } ours: {
            try await pacedOurs(journal, tails: tails, rate: rate)
        }
    }

    private func pacedOurs(_ journal: Journal, tails: Int, rate: Double) async throws -> TailBenchmarkRow {
        try await untilGone()
        let prefix = prefix()
        let (reader, _) = try await start(journal, prefix: prefix, tails: tails)
        defer { reader.kill() }
        let streams = try (0..<tails).map { try journal.stream("\(prefix)\($0)") }
        // From here on each tail follows. What the reader and the server do when they have just begun is not measured.
        let event = try DurableEvent(AppendBenchmark.eventText)
        try await each(tails) { try await streams[$0].append(event) }
        let slice = try await append(to: streams, rate: rate)
        let report = try await finish(streams, reader)
        return try row("\(tails) tails, \(Int(rate)) appends/s", slice, report)
    }

    /// All but the first fifth.
    private func row(_ name: String, _ slice: Slice, _ report: TailBenchmarkReader.Report) throws -> TailBenchmarkRow {
        var row = try row(name, slice.written.dropFirst(slice.written.count / 5), report)
        row.figures.append(("perSecond", Double(slice.written.count) / slice.elapsed))
        return row
    }

    private func latencies(_ name: String, _ start: [Double], _ acknowledged: [Double]) -> TailBenchmarkRow {
        let (start, acknowledged) = (start.sorted(), acknowledged.sorted())
        func quantile(_ samples: [Double], _ percent: Int) -> Double {
            samples.isEmpty ? .nan : samples[samples.count * percent / 100]
        }
        return TailBenchmarkRow(
            name: name,
            figures: [
                ("startP50", quantile(start, 50)), ("startP99", quantile(start, 99)),
                ("acknowledgedP50", quantile(acknowledged, 50)), ("acknowledgedP99", quantile(acknowledged, 99)),
                ("max", start.last ?? .nan),
            ]
        )
    }

    private func pacedFloor(tails: Int, rate: Double) async throws -> TailBenchmarkRow {
        try await untilGone()
        let first = Self.floorStreams.subtract(tails, ordering: .relaxed).newValue
        let reader = try await TailBenchmarkReader(floorOf: self, firstStream: first, tails: tails)
        defer { reader.kill() }
        try await reader.ready()
        async let floorSlice = floorSlice(firstStream: first, tails: tails, rate: rate, reader)
        // First what becomes of the reader: without it nobody need go on writing.
        let report = try await reader.report()
        return try await row("floor: \(tails) tails, \(Int(rate)) inserts/s", floorSlice, report)
    }

    private func floorSlice(
        firstStream: Int,
        tails: Int,
        rate: Double,
        _ reader: TailBenchmarkReader
    ) async throws -> Slice {
        let (slice, error) = try await Floor.run {
            let capacity = Int(rate * seconds) + 1
            var started = [Int64](repeating: 0, count: capacity)
            var acknowledged = started
            let written = floor_tail_write(
                databaseURL,
                configuration.schema,
                firstStream,
                Int32(tails),
                rate,
                seconds,
                AppendBenchmark.eventText,
                &started,
                &acknowledged,
                capacity
            )
            let events = (0..<written.count).map { number in
                Written(
                    stream: number % tails,
                    position: number / tails,
                    start: Int(started[number]),
                    acknowledged: Int(acknowledged[number])
                )
            }
            return (Slice(written: events, elapsed: written.seconds), written.error)
        }
        reader.expect(slice.written.count)
        try Floor.check(error)
        return slice
    }

    private struct Written: Sendable {
        var stream: Int
        var position: Int
        var start: Int
        var acknowledged: Int
    }

    private struct Slice: Sendable {
        var written: [Written] = []
        /// In seconds.
        var elapsed = 0.0
    }

    /// At most `rate` a second, as long as there is time. An append that has to wait for the one before starts when it was
    /// due.
    private func append(to streams: [PostgresStream], rate: Double) async throws -> Slice {
        let event = try DurableEvent(AppendBenchmark.eventText)
        var slice = Slice()
        let begin = MonotonicTime.now.nanoseconds
        let end = begin + Int(seconds * 1e9)
        var free = begin
        for await (number, due) in Self.ticks(Int(rate * seconds) + 1, perSecond: rate, from: begin) {
            let start = free > due ? due : MonotonicTime.now.nanoseconds
            guard max(start, free) < end else { break }
            let stream = number % streams.count
            let position = try await streams[stream].append(event)
            free = MonotonicTime.now.nanoseconds
            slice.written.append(Written(stream: stream, position: position, start: start, acknowledged: free))
        }
        slice.elapsed = Double(MonotonicTime.now.nanoseconds - begin) / 1e9
        return slice
    }

    /// When each append is due. Told by a thread that sleeps, as the floor's does: a task that sets itself a timer after each
    /// append would take the processor just when the event is on its way.
    private static func ticks(
        _ count: Int,
        perSecond rate: Double,
        from begin: Int
    ) -> AsyncStream<(number: Int, due: Int)> {
        AsyncStream { continuation in
            Thread.detachNewThread {
                for number in 0..<count {
                    let due = begin + Int(Double(number) / rate * 1e9)
                    let rest = due - MonotonicTime.now.nanoseconds
                    if rest > 0 { Thread.sleep(forTimeInterval: Double(rest) / 1e9) }
                    if case .terminated = continuation.yield((number, due)) { return }
                }
                continuation.finish()
            }
        }
    }

    /// Starts a reader with a first event in each stream.
    func start(
        _ journal: Journal,
        prefix: String,
        tails: Int,
        sample: Int = 1,
        polls: Bool = false
    ) async throws -> (TailBenchmarkReader, memory: (base: Int, ready: Int)) {
        let event = try DurableEvent(AppendBenchmark.eventText)
        try await each(tails) { try await journal.stream("\(prefix)\($0)").append(event) }
        let reader = try await TailBenchmarkReader(
            self,
            prefix: prefix,
            tails: tails,
            sample: sample,
            polls: polls
        )
        return (reader, try await reader.ready())
    }

    /// Ends all streams, and waits until the reader has seen it.
    private func finish(_ streams: [PostgresStream], _ reader: TailBenchmarkReader) async throws
        -> TailBenchmarkReader.Report
    {
        try await each(streams.count) { try await streams[$0].append(.close(.root, .ok(nil))) }
        return try await reader.report()
    }

    func each(_ count: Int, _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<min(64, count) {
                group.addTask { for number in stride(from: worker, to: count, by: 64) { try await body(number) } }
            }
            try await group.waitForAll()
        }
    }

    private func row(
        _ name: String,
        _ written: some Sequence<Written>,
        _ report: TailBenchmarkReader.Report
    ) throws -> TailBenchmarkRow {
        var start: [Double] = []
        var acknowledged: [Double] = []
        for event in written {
            guard let time = report.delivered[event.stream]?[event.position] else { continue }
            start.append(Double(time - event.start) / 1e3)
            acknowledged.append(Double(time - event.acknowledged) / 1e3)
        }
        guard !start.isEmpty else { throw BenchmarkError(description: "\(name): nothing was delivered") }
        return latencies(name, start, acknowledged)
    }

    // MARK: Full speed

    /// `writers` tasks that append as fast as they can, each to a stream of its own; all tailed by the other process.
    func fullSpeed(_ journal: Journal, writers: Int) async throws -> TailBenchmarkRow {
        let sample = 16
        let prefix = prefix()
        let (reader, memory) = try await start(
            journal,
            prefix: prefix,
            tails: writers,
            sample: sample
        )
        defer { reader.kill() }
        let event = try DurableEvent(AppendBenchmark.eventText)
        let streams = try (0..<writers).map { try journal.stream("\(prefix)\($0)") }
        let clock = ContinuousClock()
        let begin = clock.now
        let end = begin + .seconds(seconds)
        let (written, count): ([Written], Int) = try await withThrowingTaskGroup(of: ([Written], Int).self) { group in
            for number in 0..<writers {
                group.addTask {
                    var written: [Written] = []
                    var count = 0
                    while clock.now < end {
                        let start = MonotonicTime.now.nanoseconds
                        let position = try await streams[number].append(event)
                        count += 1
                        guard position % sample == 0 else { continue }
                        let now = MonotonicTime.now.nanoseconds
                        written.append(
                            Written(stream: number, position: position, start: start, acknowledged: now)
                        )
                    }
                    return (written, count)
                }
            }
            return try await group.reduce(into: ([], 0)) { sum, part in
                sum.0 += part.0
                sum.1 += part.1
            }
        }
        let elapsed = (clock.now - begin) / .seconds(1)
        let report = try await finish(streams, reader)
        var row = try row("\(writers) writers at full speed, each stream tailed", written, report)
        row.figures += [
            ("appendsPerSecond", Double(count) / elapsed),
            ("appended", Double(count + 2 * writers)), ("delivered", Double(report.count)),
            ("memoryAtStartMiB", Double(memory.ready) / 1_048_576),
            ("memoryMaxMiB", Double(report.memoryPeak) / 1_048_576),
            ("memoryEndMiB", Double(report.memory) / 1_048_576),
        ]
        return row
    }
}
