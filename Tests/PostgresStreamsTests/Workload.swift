import PostgresStreams
import Synchronization
import Testing
import TisynStreams

/// Writers that append to a few streams and tails that follow them, while a test does its worst to the connections; and
/// the account of it afterwards: every acknowledged event once at its position, nothing else, no gap, each writer's events
/// in its order, each tail equal to its stream.
struct Workload: Sendable {
    var streamCount = 6
    var writerCount = 16
    var appendsPerWriter = 120
    /// The trouble is made once each so many appends, by whoever reaches that number.
    var appendsPerFault = 100
    /// The journals, used in turn.
    var writing: [Journal]
    var tailing: Journal

    private func stream(_ n: Int, of journal: Journal) throws -> PostgresStream { try journal.stream("stream \(n)") }

    /// Runs it. `fault` is called again and again while it goes on, with the number of the call, from 0.
    func run(fault: @escaping @Sendable (Int) async throws -> Void) async throws {
        let ledger = Ledger()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for n in 0..<streamCount { group.addTask { try await follow(n) } }
            try await withThrowingTaskGroup(of: Void.self) { writers in
                for writer in 0..<writerCount {
                    writers.addTask {
                        let target = writer % streamCount
                        let stream = try stream(target, of: writing[writer % writing.count])
                        for n in 0..<appendsPerWriter {
                            let id = CoroutineID("\(writer).\(n)")
                            let position = try await stream.append(.close(id, .ok(nil)))
                            let count = ledger.note(id, at: position, in: target)
                            if count.isMultiple(of: appendsPerFault) { try await fault(count / appendsPerFault - 1) }
                        }
                    }
                }
                try await writers.waitForAll()
            }
            // What the tails wait for.
            for n in 0..<streamCount {
                _ = try await stream(n, of: writing[0]).append(.close(.root, .ok(nil)))
            }
            try await group.waitForAll()
        }
        for n in 0..<streamCount { try await check(n, ledger.positions(in: n)) }
    }

    private func check(_ n: Int, _ acknowledged: [Int: CoroutineID]) async throws {
        let ids = try await stream(n, of: tailing).readAll().map(\.coroutineID)
        let writers = stride(from: n, to: writerCount, by: streamCount)
        #expect(ids.count == writers.count(where: { _ in true }) * appendsPerWriter + 1)
        #expect(acknowledged.count == ids.count - 1)
        #expect(acknowledged.allSatisfy { ids.indices.contains($0.key) && ids[$0.key] == $0.value })
        for writer in writers {
            let order = ids.filter { $0.encoded.hasPrefix("\(writer).") }.map(\.encoded)
            #expect(order == (0..<appendsPerWriter).map { "\(writer).\($0)" })
        }
    }

    /// A tail that is there all the time.
    private func follow(_ n: Int) async throws {
        let stream = try stream(n, of: tailing)
        var seen: [DurableEvent] = []
        for try await event in stream.tail(untilClose: true) {
            #expect(event.position == seen.count)
            seen.append(event.event)
        }
        let recorded = try await stream.readAll()
        #expect(seen == recorded)
    }
}

/// What was acknowledged.
private final class Ledger: Sendable {
    private let state = Mutex<(count: Int, streams: [Int: [Int: CoroutineID]])>((0, [:]))

    /// Returns how many there are.
    func note(_ id: CoroutineID, at position: Int, in stream: Int) -> Int {
        state.withLock { state in
            let previous = state.streams[stream, default: [:]].updateValue(id, forKey: position)
            #expect(previous == nil, "two appends were given position \(position)")
            state.count += 1
            return state.count
        }
    }

    func positions(in stream: Int) -> [Int: CoroutineID] { state.withLock { $0.streams[stream] ?? [:] } }
}
