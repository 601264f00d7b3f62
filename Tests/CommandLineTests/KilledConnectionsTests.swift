import Foundation
import StreamHistory
import Synchronization
import Testing

/// Many processes that append to one stream while the server's side of their connections is terminated at random.
///
/// `DURABLE_STREAMS_PROCESS_SECONDS` says for how long; 12 where it is not set.
@Suite("Writers whose connections are killed", .timeLimit(.minutes(10)))
struct KilledConnectionsTests {
    private static let seconds =
        ProcessInfo.processInfo.environment["DURABLE_STREAMS_PROCESS_SECONDS"].flatMap(Double.init) ?? 12
    private static let processes = 8
    /// How many events each has handed over and not been answered.
    private static let window = 8

    /// What all of them did.
    private final class Record: Sendable {
        let history = Mutex(History())
        /// Connections that were terminated.
        let kills = Atomic<Int>(0)
        private let end: ContinuousClock.Instant

        init(until end: ContinuousClock.Instant) { self.end = end }

        /// Not before one was, however slow the machine.
        var isOver: Bool { ContinuousClock.now >= end && kills.load(ordering: .relaxed) > 0 }
    }

    @Test("positions are dense, nothing that was acknowledged is missing, nothing is there twice")
    func eightProcesses() async throws {
        try await ToolDatabase.with { tool in
            let record = Record(until: .now + .seconds(Self.seconds))
            let acknowledged = try await withThrowingTaskGroup(of: Int.self) { group in
                for writer in 0..<Self.processes {
                    group.addTask { try await append(writer, by: tool, record) }
                }
                group.addTask {
                    try await kill(on: tool, record)
                    return 0
                }
                return try await group.reduce(0, +)
            }
            #expect(acknowledged > 0)
            let read = try await tool.run("read", "s")
            #expect(read.lines.count == acknowledged)
            let violations = record.history.withLock { history in
                history.end(0, with: read.lines.enumerated().map { ($0.offset, EventID(line: $0.element)) })
                return history.violations()
            }
            #expect(violations.isEmpty, "\(violations.prefix(10))")
            #expect(try await tool.run("verify", "s").status == 0)
        }
    }

    /// Keeps a process busy, a few events ahead of its answers, until it is time; then waits until all are answered.
    private func append(
        _ writer: Int,
        by tool: Tool,
        _ record: Record
    ) async throws -> Int {
        let process = try await tool.start("append", "s", "--deadline", "240")
        var appends: [Int] = []
        func next() {
            let id = EventID(writer: writer, number: appends.count)
            appends.append(record.history.withLock { $0.begin(id, to: 0) })
            process.write(line: Sample.event(0, in: id.description))
        }
        for _ in 0..<Self.window { next() }
        var answered = 0
        for await line in process.lines {
            let position = try #require(Int(line.filter(\.isNumber)), "\(line)")
            record.history.withLock { $0.acknowledge(appends[answered], at: position) }
            answered += 1
            if !record.isOver { next() } else if answered == appends.count { process.closeInput() }
        }
        let outcome = await process.outcome
        #expect(outcome.status == 0, "\(outcome.messages)")
        #expect(answered == appends.count)
        return answered
    }

    /// One or two at a time, whatever they are doing.
    private func kill(on tool: Tool, _ record: Record) async throws {
        while !record.isOver {
            let killed = try await ToolDatabase.psql(
                """
                select count(pg_terminate_backend(pid)) from (
                    select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                        and application_name like 'durable-streams%' order by random() limit 1 + (random() * 1.4)::int) v
                """,
                on: tool
            )
            record.kills.add(Int(killed) ?? 0, ordering: .relaxed)
        }
    }
}
