import Foundation
import LibPQFloor
import PostgresStreams
import TisynStreams

/// Measures replay of one stream beside the floors: what a C program takes to read the same columns and do nothing.
struct ReplayBenchmark {
    let configuration: JournalConfiguration
    let stream: StreamName

    // MARK: Floors

    func copyFloor() async throws -> ReplayBenchmarkRow {
        try row("floor: COPY … (FORMAT binary)", await onThread { [query] url in floor_copy(url, query) })
    }

    func singleRowFloor() async throws -> ReplayBenchmarkRow {
        try row("floor: single-row mode", await onThread { [query] url in floor_single_rows(url, query) })
    }

    /// The columns that the index reads, in the stream's order.
    private var query: String {
        let schema = "\"\(configuration.schema.replacing("\"", with: "\"\""))\""
        let name = stream.text.replacing("'", with: "''")
        return """
            select e.kind, e.coroutine_id, e.event from \(schema).events e \
            where e.stream_id = (select s.id from \(schema).streams s where s.name = E'\(name.replacing("\\", with: "\\\\"))') \
            order by e.position
            """
    }

    /// The floors block for as long as they measure: not on the cooperative pool.
    private func onThread(_ body: @escaping @Sendable (String) -> floor_reading) async -> floor_reading {
        let url = configuration.databaseURL
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: body(url)) }
        }
    }

    private func row(_ name: String, _ reading: floor_reading) throws -> ReplayBenchmarkRow {
        var reading = reading
        let error = withUnsafeBytes(of: &reading.error) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        guard error.isEmpty else { throw BenchmarkError(description: "\(name): \(error)") }
        return ReplayBenchmarkRow(name: name, milliseconds: reading.seconds * 1000, events: reading.rows)
    }

    // MARK: Single questions

    func roundTrip(_ journal: Journal) async throws -> ReplayBenchmarkRow {
        let stream = journal.stream(stream)
        let median = try await median(of: 200) { _ in _ = try await stream.nextPosition() }
        return ReplayBenchmarkRow(name: "one round trip", milliseconds: median)
    }

    /// From nothing but an open journal.
    func firstYield(_ journal: Journal) async throws -> ReplayBenchmarkRow {
        let time = try await time { _ = try await journal.stream(stream).replayIndex().peekYield(.root) }
        return ReplayBenchmarkRow(name: "first peekYield of root", milliseconds: time)
    }

    /// Each time from nothing, of one coroutine after the other.
    func hasClose(_ journal: Journal, of ids: [CoroutineID]) async throws -> ReplayBenchmarkRow {
        let median = try await median(of: 200) { number in
            _ = try await journal.stream(stream).replayIndex().hasClose(ids[number % ids.count])
        }
        return ReplayBenchmarkRow(name: "hasClose of any coroutine", milliseconds: median)
    }

    /// Claims a stream of 10 events and asks the first question, as a worker does after a crash.
    func smallStream(_ journal: Journal) async throws -> ReplayBenchmarkRow {
        let streams = try (0..<50).map { _ in
            try journal.stream("bench/small/" + String(UInt64.random(in: .min ... .max), radix: 36))
        }
        let events = [DurableEvent](
            repeating: try .yield(.root, EffectDescription(effectID: "a.b", input: .null), .ok(nil)),
            count: 10
        )
        for stream in streams { try await stream.append(contentsOf: events) }
        let median = try await median(of: streams.count) { number in
            _ = try await streams[number].claim().stream.replayIndex().peekYield(.root)
        }
        return ReplayBenchmarkRow(name: "10 events: claim, index, first answer", milliseconds: median)
    }

    // MARK: Whole streams

    func wholeIndex(_ journal: Journal, floor: ReplayBenchmarkRow) async throws -> ReplayBenchmarkRow {
        ProcessMemory.forgetPeak()
        let idle = ProcessMemory.peak
        let index = journal.stream(stream).replayIndex()
        let time = try await time { try await index.read() }
        return compared(
            ReplayBenchmarkRow(
                name: "whole index, entries not parsed",
                milliseconds: time,
                events: index.progress.read,
                memory: ProcessMemory.peak - idle
            ),
            floor
        )
    }

    /// Asks the coroutines in turn, as a replay of them would: each entry is asked for, its result decoded.
    func everyEntry(_ journal: Journal, of ids: [CoroutineID], floor: ReplayBenchmarkRow) async throws
        -> ReplayBenchmarkRow
    {
        let index = journal.stream(stream).replayIndex()
        let time = try await time {
            var open = ids
            while !open.isEmpty {
                var next: [CoroutineID] = []
                next.reserveCapacity(open.count)
                for id in open {
                    guard let entry = try await index.peekYield(id) else { continue }
                    if case .ok(let value?) = entry.result { _ = try value.value() }
                    index.consumeYield(id)
                    next.append(id)
                }
                open = next
            }
        }
        let name = "every entry, its result decoded"
        return compared(ReplayBenchmarkRow(name: name, milliseconds: time, events: index.progress.known), floor)
    }

    private func compared(_ row: ReplayBenchmarkRow, _ floor: ReplayBenchmarkRow) -> ReplayBenchmarkRow {
        var row = row
        if let ours = row.eventsPerSecond, let theirs = floor.eventsPerSecond { row.ratio = ours / theirs }
        return row
    }

    // MARK: Time, in milliseconds

    private func time(_ body: () async throws -> Void) async rethrows -> Double {
        let start = ContinuousClock.now
        try await body()
        return (ContinuousClock.now - start) / .milliseconds(1)
    }

    private func median(of count: Int, _ body: (Int) async throws -> Void) async throws -> Double {
        var times: [Double] = []
        for number in 0..<count { times.append(try await time { try await body(number) }) }
        return times.sorted()[count / 2]
    }
}
