import PostgresStreams
import PrivatePostgres
import StreamHistory
import StreamStress
import Synchronization
import Testing

/// The run that `stress` and the fault suite share: clean on a server that is well, and not on one that cheats.
@Suite("A stress run", .serialized, .timeLimit(.minutes(10)))
struct StressRunTests {
    private func run(
        _ url: String,
        _ disruptor: Disruptor? = nil,
        _ change: (inout StressPlan) -> Void = { _ in }
    ) async throws -> StressReport {
        var plan = StressPlan()
        plan.duration = .seconds(3)
        plan.rate = 500
        plan.seed = 20_261_125
        change(&plan)
        let configuration = JournalConfiguration.quiet(url)
        let run = StressRun(
            plan: plan,
            writing: [configuration, configuration],
            reading: configuration,
            checking: configuration
        )
        return try await run.run(disruptor)
    }

    @Test("finds no promise broken where none is, and has something of everything")
    func clean() async throws {
        try await withTestDatabase { url in
            let report = try await run(url)
            #expect(report.violations.isEmpty, "\(report.violations)")
            for count in [
                "appends acknowledged", "claims", "events delivered", "transactions", "reads",
                "tails of all streams that came to their ends",
            ] {
                #expect(report.counts[count] ?? 0 > 0, "\(count)")
            }
            #expect(report.counts["tails that came to the end"] == 8)
            // Writers that passed by a claim.
            #expect(report.counts["appends failed, fenced, notWritten"] ?? 0 > 0)
        }
    }

    @Test("of one stream has claims too")
    func oneStream() async throws {
        try await withTestDatabase { url in
            let report = try await run(url) { ($0.streams, $0.duration) = (1, .seconds(1)) }
            #expect(report.violations.isEmpty, "\(report.violations)")
            #expect(report.counts["claims"] ?? 0 > 0)
        }
    }

    // Where pauses are not cut short it goes on for up to 20 minutes.
    @Test("ends in time, however long its writers pause")
    func slowWriters() async throws {
        try await withTestDatabase { url in
            let report = try await run(url) { ($0.writers, $0.rate, $0.duration) = (600, 1, .seconds(1)) }
            #expect(report.violations.isEmpty, "\(report.violations)")
        }
    }

    @Test(
        "finds what a server did that lost, altered, doubled or moved events",
        .enabled(if: TestServer.isPrivate, "guards are turned off as a superuser"),
        arguments: [
            (
                "delete from durable_streams.events e where position = (select max(position) from durable_streams.events "
                    + "where stream_id = e.stream_id) and position > 5",
                Violation.Law.acknowledgedIsThere
            ),
            (
                "update durable_streams.events set event = replace(event::text, 'xx', 'xy')::json where position = 3",
                .noStrangers
            ),
            (
                "insert into durable_streams.events select stream_id, position + 3, recorded_at, token, kind, "
                    + "coroutine_id, event from durable_streams.events e where position = (select max(position) from "
                    + "durable_streams.events where stream_id = e.stream_id)",
                .dense
            ),
            ("delete from durable_streams.stress_rows", .wholeTransactions),
        ]
    )
    func cheating(_ sql: String, _ law: Violation.Law) async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { session in
                try await session.run("set session_replication_role = replica")
                let (cheated, continuation) = AsyncStream.makeStream(of: Void.self)
                let isOver = Mutex(false)
                let kind = Disruptor.Kind("cheat") { _ in
                    guard !isOver.withLock({ $0 }) else { return }
                    // There may be nothing yet to alter, or somebody's event in the way.
                    try await until {
                        let cheat = "with cheat as (\(sql) returning 1) select count(*) from cheat"
                        return (try? await session.integer(cheat)) ?? 0 > 0
                    }
                    isOver.withLock { $0 = true }
                    continuation.finish()
                }
                let cheat = Disruptor([kind], pause: 0.5...2)
                let running = Task {
                    defer { continuation.finish() }
                    // Until it has cheated, however long that takes. A tail of a log that was cut off may wait for ever.
                    return try await run(url, cheat) { ($0.duration, $0.settling) = (.seconds(3600), .seconds(5)) }
                }
                for await _ in cheated {}
                running.cancel()
                let report = try await running.value
                #expect(report.violations.contains { $0.law == law }, "\(report.violations), \(report.trace)")
            }
        }
    }
}
