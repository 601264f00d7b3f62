import PostgresStreams
import Testing
import TisynStreams

/// Connections on both sides of PgBouncer that go away in the middle of work.
@Suite(
    "Faults behind a pooler",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine"),
    .enabled(if: Pooler.program != nil, "there is no pgbouncer in PATH or /usr/sbin")
)
struct PoolerFaultTests {
    private static func workload(_ journal: Journal) -> Workload {
        Workload(
            streamCount: 12,
            writerCount: 12,
            appendsPerWriter: 30,
            appendsPerFault: 40,
            writing: [journal],
            tailing: journal
        )
    }

    @Test("the pooler's connections to the server that are terminated cost no event, add none and move none")
    func terminatedBackends() async throws {
        try await withPooler { pooled, direct in
            try await withSQL(direct) { killer in
                try await withJournal(.quiet(pooled)) { journal in
                    try await Self.workload(journal).run { n in
                        let limit = n.isMultiple(of: 5) ? "all" : "1"
                        try await killer.run(
                            """
                            select pg_terminate_backend(pid) from (
                                select pid from pg_stat_activity
                                where datname = current_database() and pid <> pg_backend_pid()
                                order by random() limit \(limit)) v
                            """
                        )
                    }
                }
            }
        }
    }

    @Test("our connections to it that are cut cost nothing either, be it near or far", arguments: [nil, 20])
    func cutConnections(delay: Int?) async throws {
        try await withSeenPooler(isFar: delay) { proxy, journal in
            try await Self.workload(journal).run { _ in proxy.endConnections() }
            #expect(proxy.mostUnanswered == 1)
        }
    }
}
