import Foundation
import LibPQFloor
import PostgresStreams
import TisynStreams

/// Measures replay of one stream beside the floors: what a C program takes to read the same columns and do nothing.
struct ReplayBenchmark {
    let configuration: JournalConfiguration
    let stream: StreamName

    // MARK: Floors

    func copyFloor() async throws -> BenchmarkFigures {
        try await figures { [query, url = configuration.databaseURL] in
            try await events(Floor.run { floor_copy(url, query) })
        }
    }

    func singleRowFloor() async throws -> BenchmarkFigures {
        try await figures { [query, url = configuration.databaseURL] in
            try await events(Floor.run { floor_single_rows(url, query) })
        }
    }

    private func events(_ reading: floor_reading) throws -> (count: Int, seconds: Double) {
        try Floor.check(reading.error)
        return (reading.rows, reading.seconds)
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

    /// Floors and ours in turn; the ratios are to COPY.
    func wholeStream(_ journal: Journal, of ids: [CoroutineID], rounds: Int) async throws -> [ReplayBenchmarkRow] {
        let turns = [
            BenchmarkTurn("floor: COPY … (FORMAT binary)") { try await copyFloor() },
            BenchmarkTurn("floor: single-row mode", against: 0) { try await singleRowFloor() },
            BenchmarkTurn("whole index, entries not parsed", against: 0) { try await wholeIndex(journal) },
            BenchmarkTurn("every entry, its result decoded", against: 0) { try await everyEntry(journal, of: ids) },
        ]
        return try await BenchmarkTurn.rows(turns, rounds: rounds).map(ReplayBenchmarkRow.init)
    }

    /// What the whole index takes at most beyond what the process occupied before: in a process that has read nothing.
    func memory(_ journal: Journal) async throws -> ReplayBenchmarkRow {
        ProcessMemory.forgetPeak()
        let idle = ProcessMemory.peak
        let time = try await time { _ = try await wholeIndex(journal) }
        return ReplayBenchmarkRow(
            name: "whole index, the first time",
            milliseconds: time,
            memory: ProcessMemory.peak - idle
        )
    }

    private func wholeIndex(_ journal: Journal) async throws -> BenchmarkFigures {
        let index = journal.stream(stream).replayIndex()
        return try await figures {
            let seconds = try await time { try await index.read() } / 1000
            return (index.progress.read, seconds)
        }
    }

    /// Asks the coroutines in turn, as a replay of them would: each entry is asked for, its result decoded.
    private func everyEntry(_ journal: Journal, of ids: [CoroutineID]) async throws -> BenchmarkFigures {
        let index = journal.stream(stream).replayIndex()
        return try await figures {
            let seconds = try await time { try await replay(ids, from: index) } / 1000
            return (index.progress.known, seconds)
        }
    }

    private func replay(_ ids: [CoroutineID], from index: StreamReplayIndex) async throws {
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

    private func figures(
        _ body: () async throws -> (count: Int, seconds: Double)
    ) async throws -> BenchmarkFigures {
        let cpu = BenchmarkFigures.processorTime()
        let (count, seconds) = try await body()
        return BenchmarkFigures(
            perSecond: Double(count) / seconds,
            cpu: (BenchmarkFigures.processorTime() - cpu) / Double(max(1, count))
        )
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
        return BenchmarkFigures.median(times) ?? .nan
    }
}
