import PostgresStreams
import PrivatePostgres
import StreamConformance
import StreamStress
import Testing
import TisynStreams

/// A worker and a watcher as they should be in production: with the roles of `Migrations/roles.sql` and nothing more.
@Suite(
    "Workers of least privilege",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "roles are created as a superuser")
)
struct WriterRoleTests {
    private static let event = #"{"type":"close","coroutineId":"root","result":{"status":"ok"}}"#

    @Test(
        "a writer's stream keeps the contract of every stream",
        arguments: ConformanceCheck.checks(of: PostgresBackend.self)
    )
    func conforms(check: ConformanceCheck) async throws {
        try await Roles.with { roles in try await check.run(on: PostgresBackend(databaseURL: roles.writer)) }
    }

    @Test("writers that append, claim, tail, read and cancel under fire break no promise")
    func stress() async throws {
        try await Roles.with { roles in
            var plan = StressPlan()
            plan.duration = .seconds(3)
            plan.rate = 300
            plan.seed = 6
            // A worker of least privilege makes no tables.
            try await roles.owner.run("create table durable_streams.stress_rows (id text primary key)")
            try await roles.owner.run("grant select, insert on durable_streams.stress_rows to a_writer")
            let writer = JournalConfiguration.quiet(roles.writer)
            let run = StressRun(
                plan: plan,
                writing: [writer, writer],
                reading: .quiet(roles.reader),
                checking: writer
            )
            let report = try await run.run(
                Disruptor(
                    [
                        .init("a backend terminated") { _ in
                            try await roles.owner.run(
                                """
                                select pg_terminate_backend(pid) from (
                                    select pid from pg_stat_activity where usename in ('a_writer', 'a_reader')
                                        and datname = current_database() order by random() limit 1) v
                                """
                            )
                        }
                    ],
                    pause: 0.3...0.8
                )
            )
            #expect(report.isClean, "\(report.violations)")
            #expect(report.events > 0)
            #expect(report.counts["claims"] ?? 0 > 0)
        }
    }

    @Test("a writer and a reader replay, list and verify; a writer also resolves and appends in transactions")
    func theRest() async throws {
        try await Roles.with { roles in
            let effect = EffectDescription(type: "mail", name: "send")
            try await withJournal(.quiet(roles.writer)) { journal in
                let stream = try journal.stream("s")
                try await journal.transaction { tx in
                    _ = try await tx.append(.yield(.root, effect, .ok(nil)), to: stream)
                }
                try await stream.append(.close(.root, .ok(nil)))
            }
            for url in [roles.writer, roles.reader] {
                try await withJournal(.quiet(url)) { journal in
                    let index = try journal.stream("s").replayIndex()
                    #expect(try await index.peekYield(.root) != nil)
                    #expect(try await index.hasClose(.root))
                    var names: [String] = []
                    for try await summary in journal.streams() { names.append(summary.name.text) }
                    #expect(names == ["s"])
                    #expect(try await journal.verify(StreamName("s")) == 2)
                }
            }
        }
    }

    @Test("by calling the functions a writer cannot jump a position, write to another's stream, or lower an epoch")
    func hostileCalls() async throws {
        try await withTwoStreams { roles, sql in
            let calls = HostileBatch.all.map(\.sql) + Self.hostileCalls.map { "select * from \($0)" }
            for call in calls {
                _ = try await sql.refusal(call.replacing("{e}", with: Self.event))
                try await expectUntouched(roles.owner, call)
            }
            // The guard's own switch is anybody's to set, and opens nothing.
            try await sql.run("set durable_streams.appending = on")
            for call in calls { _ = try await sql.refusal(call.replacing("{e}", with: Self.event)) }
            try await expectUntouched(roles.owner, "with the switch set")
        }
    }

    @Test("without the guards' switch a writer's append through the view is checked by them")
    func viewWithoutSwitch() async throws {
        try await withTwoStreams { roles, sql in
            let insert = """
                insert into appends (stream_id, position, previous, token, kind, coroutine_id, event)
                select e.stream_id, e.position + 1, e.token, gen_random_uuid(), 'c', 'root', '\(Self.event)'
                from events e join streams s on s.id = e.stream_id
                """
            #expect(try await sql.refusal("\(insert) where s.name = 'open' and e.position = 2") == "00000")
            let written = "select count(*) from durable_streams.events where position = 3"
            #expect(try await roles.owner.integer(written) == 1)
            _ = try await sql.refusal("\(insert) where s.name = 'claimed' and e.position = 1")
            try await expectUntouched(roles.owner, "appends through the view")
        }
    }

    /// `{e}` is an event. What a call reads for itself it can be denied too; then there is nothing to see.
    private static let hostileCalls = [
        "append('open', array['{e}']::json[], 700)", "append('open', array['{e}']::json[], 1)",
        "append('open', array['{e}']::json[], -1)", "append('claimed', array['{e}']::json[])",
        "append('claimed', array['{e}']::json[], 2)", "append('claimed', array['{e}']::json[], 2, 1)",
        "append('claimed', array['{e}']::json[], null, 0)", "append('claimed', array['{e}']::json[], null, 3)",
        "append('claimed', array['{e}']::json[], null, -2)",
        "append_single('open', null, 900, true, gen_random_uuid(), 'c', 'root', '{e}')",
        "append_single('claimed', 1, 2, true, gen_random_uuid(), 'c', 'root', '{e}')",
        "append_single('claimed', null, 2, false, gen_random_uuid(), 'c', 'root', '{e}')",
        "resolve('claimed', gen_random_uuid(), -1)", "resolve('claimed', null, null)", "resolve(null, null, null)",
        "claim('')", "claim(null)", "claim(repeat('x', 513))", "announce(array['claimed', null, ''])",
        "announce(null)", "read('claimed', -9223372036854775808, -1)",
    ]

    @Test("a claim takes a stream over, for good: the epoch only rises, and the one before can write no more")
    func claims() async throws {
        try await withTwoStreams { roles, sql in
            let claimed = try await sql.run("select epoch, position from claim('claimed')")
            #expect(claimed == [["3", "2"]])
            for (epoch, expected) in [(2, "fenced"), (4, "fenced"), (3, "written")] {
                let outcome = try await sql.value(
                    "select outcome from append('claimed', array['\(Self.event)']::json[], null, \(epoch))"
                )
                #expect(outcome == expected, "epoch \(epoch)")
            }
        }
    }

    /// Streams `open` (3 events, never claimed) and `claimed` (2 events, epoch 2), and a writer's session.
    private func withTwoStreams(_ body: (_ roles: Roles, _ sql: SQLSession) async throws -> Void) async throws {
        try await Roles.with { roles in
            try await withSQL(roles.writer) { sql in
                try await sql.run("set search_path = durable_streams")
                for stream in ["open", "open", "open", "claimed", "claimed"] {
                    try await sql.run("select * from append('\(stream)', array['\(Self.event)']::json[])")
                }
                for _ in 0..<2 { try await sql.run("select * from claim('claimed')") }
                try await body(roles, sql)
            }
        }
    }

    private func expectUntouched(_ owner: SQLSession, _ call: String) async throws {
        let broken = try await owner.run(
            """
            select s.name from durable_streams.streams s left join durable_streams.events e
                on e.stream_id = s.id and e.kind <> 'r'
            group by s.name, s.epoch
            having count(e.position) <> coalesce(max(e.position) + 1, 0) or min(e.position) < 0
                or s.name = 'claimed' and (count(e.position) <> 2 or s.epoch <> 2)
                or s.name = 'open' and (count(e.position) < 3 or s.epoch <> 0)
            """
        )
        #expect(broken.isEmpty, "\(broken) after \(call)")
    }
}
