import PostgresStreams
import StreamStress
import Synchronization
import TisynStreams

/// Appends, tails, replays and reconnects, for as long as is wanted, and keeps nothing: what memory grows then leaks.
///
/// In rounds, so that streams are opened, followed to their end, replayed and forgotten, as in a worker that lives long.
struct MemoryBenchmark: Sendable {
    /// What the process occupies, and what it had done by then.
    struct Reading: Sendable {
        var seconds: Int
        var memory: Int
        var threads: Int
        var appended = 0
        var failed = 0
        var delivered = 0
        var reconnects = 0
    }

    private struct Counts {
        var appended = 0
        var failed = 0
        var delivered = 0
        var reconnects = 0
        var round = 0
    }

    let configuration: JournalConfiguration
    var streams = 16
    /// Appends a second, all streams together.
    var rate = 500
    var roundLength = Duration.seconds(20)
    private let start = ContinuousClock.now
    private let counts = Shared()

    private final class Shared: Sendable {
        let state = Mutex(Counts())
    }

    init(configuration: JournalConfiguration) { self.configuration = configuration }

    /// Runs it.
    ///
    /// - Parameter show: is given a reading each `interval`.
    /// - Throws: `JournalError`; a broken promise is a `ToolError`.
    func run(
        for duration: Duration,
        each interval: Duration,
        _ show: @escaping @Sendable (Reading) async throws -> Void
    ) async throws {
        let end = start + duration
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while ContinuousClock.now < end {
                    // A journal of its own, so that those that are closed are seen to be gone.
                    try await withJournal(configuration) { journal in
                        for _ in 0..<3 where ContinuousClock.now < end { try await round(journal, until: end) }
                    }
                }
            }
            group.addTask { try await disrupt() }
            group.addTask {
                while true {
                    try await Task.sleep(for: interval)
                    try await show(reading())
                }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    private func reading() -> Reading {
        let counts = counts.state.withLock { $0 }
        return Reading(
            seconds: Int((ContinuousClock.now - start) / .seconds(1)),
            memory: ProcessMemory.current,
            threads: ProcessMemory.threadCount,
            appended: counts.appended,
            failed: counts.failed,
            delivered: counts.delivered,
            reconnects: counts.reconnects
        )
    }

    /// New streams, each written to its end and followed; then replayed.
    private func round(_ journal: Journal, until end: ContinuousClock.Instant) async throws {
        let number = counts.state.withLock { counts in
            counts.round += 1
            return counts.round
        }
        let end = min(end, .now + roundLength)
        let pause = Duration.seconds(1) * streams / rate
        try await withThrowingTaskGroup(of: Void.self) { group in
            for n in 0..<streams {
                let stream = try journal.stream("memory/\(number)/\(n)")
                group.addTask { try await follow(stream) }
                group.addTask { try await write(to: stream, until: end, pause: pause) }
            }
            // Not `waitForAll`, which goes on waiting for the others after an error.
            while try await group.next() != nil {}
        }
        for n in 0..<streams {
            let index = try journal.stream("memory/\(number)/\(n)").replayIndex()
            guard try await index.peekYield("root.0") != nil, try await index.hasClose(.root) else {
                throw ToolError(.checkFailed, "stream memory/\(number)/\(n) cannot be replayed")
            }
        }
    }

    private func write(to stream: PostgresStream, until end: ContinuousClock.Instant, pause: Duration) async throws {
        let claim = try await stream.claim().stream
        let event = try DurableEvent(AppendBenchmark.eventText)
        var isThere = false
        // One at least, however late it comes: the replay looks for it.
        repeat {
            if await append(event, to: claim) { isThere = true }
            try await Task.sleep(for: pause)
        } while !isThere || ContinuousClock.now < end
        while await !append(.close(.root, .ok(nil)), to: claim) { try Task.checkCancellation() }
    }

    /// A server that is away for longer than an append's deadline is no leak.
    @discardableResult
    private func append(_ event: DurableEvent, to stream: PostgresStream) async -> Bool {
        do {
            try await stream.append(event)
            counts.state.withLock { $0.appended += 1 }
            return true
        } catch {
            counts.state.withLock { $0.failed += 1 }
            return false
        }
    }

    /// To the root's close; begun anew now and then, as by a consumer that restarts.
    private func follow(_ stream: PostgresStream) async throws {
        var position = 0
        while true {
            var left = 200
            for try await recorded in stream.tail(from: .position(position), untilClose: true) {
                guard recorded.position == position else {
                    throw ToolError(.checkFailed, "a tail delivered \(recorded.position) where \(position) is due")
                }
                position += 1
                counts.state.withLock { $0.delivered += 1 }
                if recorded.event.kind == .close { return }
                left -= 1
                if left == 0 { break }
            }
        }
    }

    /// A connection is lost about twice a second, and now and then all of them.
    private func disrupt() async throws {
        let backends = OwnBackends(configuration)
        for n in 1... {
            try await Task.sleep(for: .milliseconds(500))
            let count = (try? await backends.send(.terminate, atMost: n.isMultiple(of: 20) ? nil : 1)) ?? 0
            counts.state.withLock { $0.reconnects += count }
        }
    }
}
