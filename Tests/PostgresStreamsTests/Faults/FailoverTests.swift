import PostgresStreams
import PrivatePostgres
import StreamHistory
import StreamStress
import Synchronization
import Testing

/// A primary that is killed for good, and its standby that takes over.
@Suite(
    "Failover",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "needs servers of its own")
)
struct FailoverTests {
    private func withPair(_ body: (_ primary: PrivatePostgres, _ standby: PrivatePostgres) async throws -> Void)
        async throws
    {
        try await withPrivatePostgres(.init(tcp: true)) { primary in
            try await Migrator(.quiet(primary.databaseURL)).migrate()
            try await withPrivatePostgres(.init(tcp: true, standbyOf: primary)) { standby in
                try await body(primary, standby)
            }
        }
    }

    private static func eventCount(on server: PrivatePostgres) async throws -> Int {
        Int(try await server.psql("select count(*) from durable_streams.events where kind <> 'r'")) ?? 0
    }

    private func run(
        _ primary: PrivatePostgres,
        _ standby: PrivatePostgres,
        seed: UInt64,
        mayLoseEnds: Bool,
        _ failover: @escaping @Sendable () async throws -> Void
    ) async throws -> StressReport {
        let both =
            "postgresql://postgres:\(primary.password)@127.0.0.1:\(primary.port),127.0.0.1:\(standby.port)"
            + "/postgres?target_session_attrs=read-write"
        var plan = StressPlan()
        // Until it has failed over, however long that takes.
        plan.duration = .seconds(3600)
        plan.rate = 300
        plan.seed = seed
        plan.mayLoseEnds = mayLoseEnds
        let configuration = JournalConfiguration.quiet(both)
        let run = StressRun(
            plan: plan,
            writing: [configuration, configuration],
            reading: configuration,
            checking: configuration
        )
        let isOver = Mutex(false)
        let (failedOver, continuation) = AsyncStream.makeStream(of: Void.self)
        let disruptor = Disruptor(
            [
                .init("the primary killed, the standby promoted", isFailover: mayLoseEnds) { _ in
                    let isFirst = isOver.withLock { isOver in
                        defer { isOver = true }
                        return !isOver
                    }
                    guard isFirst else { return }
                    defer { continuation.finish() }
                    try await failover()
                    continuation.yield()
                }
            ],
            pause: 2...3
        )
        let running = Task {
            defer { continuation.finish() }
            return try await run.run(disruptor)
        }
        for await _ in failedOver {
            // So many that each stream is longer than it was.
            let there = try await Self.eventCount(on: standby)
            try await until { try await Self.eventCount(on: standby) > there + 1000 }
        }
        running.cancel()
        let report = try await running.value
        #expect(report.isClean, "\(report.violations) \(report.trace.suffix(20))")
        #expect(try await standby.psql("select pg_is_in_recovery()") == "f")
        #expect(report.server.contains("\(standby.port)"))
        #expect(report.events > 0)
        return report
    }

    @Test("with synchronous replication a failover breaks no promise: what was acknowledged is on the new primary")
    func synchronous() async throws {
        try await withPair { primary, standby in
            // Only now, and by a file that the standby did not copy: it will have no standby of its own.
            try await primary.psql("alter system set synchronous_standby_names = '*'")
            try await primary.psql("select pg_reload_conf()")
            try await until {
                try await primary.psql("select count(*) from pg_stat_replication where sync_state = 'sync'") == "1"
            }
            let report = try await run(primary, standby, seed: 1, mayLoseEnds: false) {
                await primary.kill()
                try await standby.psql("select pg_promote()")
            }
            #expect(report.counts["tails failed, logReplaced"] == nil)
        }
    }

    @Test("without it only the ends of streams are lost, and no tail that had more goes on without saying so")
    func asynchronous() async throws {
        try await withPair { primary, standby in
            let report = try await run(primary, standby, seed: 2, mayLoseEnds: true) {
                // What is acknowledged from here on the standby never gets.
                try await standby.psql("alter system set primary_conninfo = ''")
                try await standby.psql("select pg_reload_conf()")
                try await until { try await standby.psql("select count(*) from pg_stat_wal_receiver") == "0" }
                let there = try await Self.eventCount(on: primary)
                // So many that a tail has read some of them.
                try await until { try await Self.eventCount(on: primary) > there + 50 }
                await primary.kill()
                try await standby.psql("select pg_promote()")
            }
            #expect(report.counts["events acknowledged and lost with the primary"] ?? 0 > 0, "\(report.counts)")
            #expect(report.counts["tails failed, logReplaced"] ?? 0 > 0, "\(report.counts)")
        }
    }

    @Test(
        "on a standby the doctor says what does not work there, and on its primary that the failover could lose events"
    )
    func doctor() async throws {
        try await withPrivatePostgres { primary in
            try await Migrator(.quiet(primary.databaseURL)).migrate()
            try await withPrivatePostgres(.init(standbyOf: primary)) { standby in
                try await until {
                    try await standby.psql("select to_regclass('durable_streams.events') is not null") == "t"
                }
                let there = try await Doctor(.quiet(standby.databaseURL)).examinePatiently()
                #expect(there["primary"]?.verdict == .problem, "\(there.findings)")
                #expect(there["listening"]?.verdict == .warning)
                #expect(there["schema"]?.verdict == .ok)
                #expect(there.count(of: .problem) == 1)
                try await until { try await primary.psql("select count(*) from pg_stat_replication") == "1" }
                let here = try await Doctor(.quiet(primary.databaseURL)).examinePatiently()
                #expect(here["standbys"]?.verdict == .warning, "\(here.findings)")
            }
        }
    }
}
