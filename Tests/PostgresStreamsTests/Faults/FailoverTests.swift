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
    @Test("with synchronous replication a failover breaks no promise: what was acknowledged is on the new primary")
    func synchronous() async throws {
        try await withPrivatePostgres(.init(tcp: true)) { primary in
            try await Migrator(.quiet(primary.databaseURL)).migrate()
            try await withPrivatePostgres(.init(tcp: true, standbyOf: primary)) { standby in
                // Only now, and by a file that the standby did not copy: it will have no standby of its own.
                try await primary.psql("alter system set synchronous_standby_names = '*'")
                try await primary.psql("select pg_reload_conf()")
                try await until {
                    try await primary.psql("select count(*) from pg_stat_replication where sync_state = 'sync'") == "1"
                }
                let both =
                    "postgresql://postgres:\(primary.password)@127.0.0.1:\(primary.port),127.0.0.1:\(standby.port)"
                    + "/postgres?target_session_attrs=read-write"
                var plan = StressPlan()
                plan.duration = .seconds(8)
                plan.rate = 300
                plan.seed = 1
                let configuration = JournalConfiguration.quiet(both)
                let run = StressRun(
                    plan: plan,
                    writing: [configuration, configuration],
                    reading: configuration,
                    checking: configuration
                )
                let isOver = Mutex(false)
                let failover = Disruptor(
                    [
                        .init("the primary killed, the standby promoted") { _ in
                            let isFirst = isOver.withLock { isOver in
                                defer { isOver = true }
                                return !isOver
                            }
                            guard isFirst else { return }
                            await primary.kill()
                            try await standby.psql("select pg_promote()")
                        }
                    ],
                    pause: 2...3
                )
                let report = try await run.run(failover)
                #expect(report.isClean, "\(report.violations) \(report.trace.suffix(20))")
                #expect(try await standby.psql("select pg_is_in_recovery()") == "f")
                #expect(report.server.contains("\(standby.port)"))
                #expect(report.events > 0)
            }
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
                let there = try await Doctor(.quiet(standby.databaseURL)).examine()
                #expect(there["primary"]?.verdict == .problem, "\(there.findings)")
                #expect(there["listening"]?.verdict == .warning)
                #expect(there["schema"]?.verdict == .ok)
                #expect(there.count(of: .problem) == 1)
                try await until { try await primary.psql("select count(*) from pg_stat_replication") == "1" }
                let here = try await Doctor(.quiet(primary.databaseURL)).examine()
                #expect(here["standbys"]?.verdict == .warning, "\(here.findings)")
            }
        }
    }
}
