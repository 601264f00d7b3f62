import PrivatePostgres
import Testing

@testable import PostgresStreams

/// What runs for each append, page and look-up reads ranges of indices, at any size of the tables and whatever the server
/// knows of them.
@Suite("Plans", .serialized, .timeLimit(.minutes(10)))
struct PlanTests {
    /// What the server knows when it plans.
    enum Knowledge: CaseIterable, Sendable, CustomTestStringConvertible {
        /// 2,000 streams of 20 events, analyzed.
        case analyzed
        /// As many, and nothing known of them.
        case unanalyzed
        /// The plan was made while the tables were empty, and is used after they have grown.
        case plannedWhenEmpty
        /// The same, and the server had seen that they are empty.
        case plannedWhenVacuumed
        /// The same, with a few events and streams, which the server had counted.
        case plannedWhenFew

        /// Whether the plan is older than what is in the tables.
        var isOutdated: Bool { self != .analyzed && self != .unanalyzed }

        var testDescription: String { "\(self)" }
    }

    private typealias Named = (name: String, sql: @Sendable (Statements) -> String, types: String, arguments: String)

    private static let statements: [Named] = [
        ("page", { $0.page.sql }, "text, bigint, bigint", "'s17', 4, 1000"),
        ("tail_page", { $0.tailPage.sql }, "text, bigint, bigint", "'s17', 4, 1000"),
        ("tail_next", { $0.tailNext.sql }, "text, bigint, bigint", "'s17', 4, 2"),
        ("tail_next_by_id", { $0.tailNextByID.sql }, "bigint, bigint, bigint", "17, 4, 2"),
        (
            "tail_pages", { $0.tailPages.sql }, "text[], bigint[], bigint[], bigint[]",
            "array['s3', null, 'nowhere'], array[null, 4, null], array[19, 5, 0], array[100, 2, 100]"
        ),
        ("tail_look", { $0.tailLook.sql }, "text[], bigint[]", "array['s3', 's4', 'nowhere'], array[19, 20, 0]"),
        ("discover", { $0.discover.sql }, "bigint, bigint, boolean", "1990, 1000, true"),
        ("index_page", { $0.indexPage.sql }, "text, bigint, bigint", "'s17', 4, 1000"),
        ("events_at", { $0.eventsAt.sql }, "text, bigint[]", "'s17', array[3, 7]"),
        ("heads", { $0.heads.sql }, "text, text, bigint, boolean, bigint", "'s17', 'root', 20, true, 7"),
        ("index_end", { $0.indexEnd.sql }, "text, bigint", "'s17', 7"),
        ("next_position", { $0.nextPosition.sql }, "text", "'s17'"),
        ("list", { $0.list.sql }, "text, text, text, bigint", "'s1', 's1', 's2', 20"),
        ("list_open", { $0.listOpen.sql }, "text, text, text, bigint", "'s1', 's1', 's2', 20"),
        ("list_closed", { $0.listClosed.sql }, "text, text, text, bigint", "'s1', 's1', 's2', 20"),
        ("verify_page", { $0.verifyPage.sql }, "text, bigint, bigint", "'s17', 4, 1000"),
        (
            "resolve", { $0.resolve.sql }, "text, uuid, bigint, boolean, text",
            "'s17', gen_random_uuid(), 15, true, 'on'"
        ),
    ]

    private func fill(_ sql: SQLSession, streams: Int = 2000, eventsEach: Int = 20) async throws {
        try await sql.run("insert into streams (name) select 's' || n from generate_series(1, \(streams)) n")
        try await sql.run("set durable_streams.appending = on")
        try await sql.run(
            """
            insert into events
            select s.id, n, now(), gen_random_uuid(), (case when n % 20 = 19 then 'c' else 'y' end)::"char",
                case when n = \(eventsEach - 1) then 'root' else 'root.' || n % 7 end,
                ('{"type":"yield","coroutineId":"root","padding":"' || repeat('x', 200) || '"}')::json
            from streams s, generate_series(0, \(eventsEach - 1)) n where s.name like 's%'
            """
        )
        try await sql.run("reset durable_streams.appending")
    }

    /// What is there when the plan is made, and what the server knows of it.
    private func prepare(_ knowledge: Knowledge, _ sql: SQLSession) async throws {
        switch knowledge {
        case .analyzed, .unanalyzed: try await fill(sql)
        case .plannedWhenEmpty: break
        case .plannedWhenVacuumed: try await sql.run("vacuum events, streams")
        case .plannedWhenFew:
            for stream in 1...3 {
                for _ in 0..<20 {
                    try await sql.run("select append('few\(stream)', array['\(Self.close)']::json[])")
                }
            }
        }
        if knowledge == .analyzed || knowledge == .plannedWhenFew { try await sql.run("analyze events, streams") }
    }

    private static let close = #"{"type":"close","coroutineId":"r","result":{"status":"ok"}}"#

    /// Tables whose statistics change only when a test says so.
    private func withTables(_ body: (_ url: String, _ sql: SQLSession) async throws -> Void) async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                try await sql.run("set search_path = durable_streams")
                for table in ["events", "streams"] {
                    try await sql.run("alter table \(table) set (autovacuum_enabled = false)")
                }
                try await body(url, sql)
            }
        }
    }

    /// Over another session: in ours the planning has set the search_path.
    private func fillElsewhere(_ url: String) async throws {
        try await withSQL(url) { other in
            try await other.run("set search_path = durable_streams")
            try await fill(other)
        }
    }

    /// No table is read whole, nor is an index.
    private func expectNoScan(_ plan: String, _ what: String, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(!plan.contains("Seq Scan"), "\(what):\n\(plan)", sourceLocation: sourceLocation)
        let lines = plan.split(separator: "\n")
        for (index, line) in lines.enumerated() where line.contains(#/Scan (Backward )?using/#) {
            let isBounded =
                lines.dropFirst(index + 1).first?.contains("Index Cond") == true
                || index > 0 && lines[index - 1].contains("Limit")
            #expect(isBounded, "\(what):\n\(plan)", sourceLocation: sourceLocation)
        }
    }

    @Test("the library's statements scan no table", arguments: Knowledge.allCases, ["auto", "force_custom_plan"])
    func statements(_ knowledge: Knowledge, mode: String) async throws {
        let statements = Statements(schema: try SchemaName("durable_streams"))
        try await withTables { url, sql in
            try await prepare(knowledge, sql)
            try await sql.run(statements.planning.sql)
            try await sql.run("set plan_cache_mode = \(mode)")
            for (name, statement, types, arguments) in Self.statements {
                try await sql.run("prepare \(name)(\(types)) as \(statement(statements))")
                for _ in 0..<7 { try await sql.run("execute \(name)(\(arguments))") }
            }
            if knowledge.isOutdated { try await fillElsewhere(url) }
            for (name, _, _, arguments) in Self.statements {
                let plan = try await sql.run("explain (costs off) execute \(name)(\(arguments))").map { $0[0] }
                expectNoScan(plan.joined(separator: "\n"), name)
                if name != "resolve" {
                    let isByIndex = plan.contains { $0.contains("Index") && $0.contains("events_") }
                    #expect(isByIndex, "\(name):\n\(plan.joined(separator: "\n"))")
                }
            }
        }
    }

    @Test(
        "an append behind its predecessor looks that one up by the key, and nothing else",
        arguments: Knowledge.allCases
    )
    func chained(_ knowledge: Knowledge) async throws {
        let statements = Statements(schema: try SchemaName("durable_streams"))
        let id = "11111111-1111-1111-1111-111111111111"
        let one = (
            types: "bigint, bigint, uuid, uuid, \"char\", text, json",
            values: "17, 20, '\(id)', '\(id)', 'y', 'r', '{}'"
        )
        let two = (
            types: "bigint[], bigint[], uuid[], uuid[], \"char\"[], text[], json[]",
            values: "array[17, 18], array[20, 20], array['\(id)', '\(id)']::uuid[], "
                + "array['\(id)', '\(id)']::uuid[], "
                + "array['y', 'y']::\"char\"[], array['r', 'r'], array['{}', '{}']::json[]"
        )
        let calls = [
            (statements.append.chained.sql, one.types, one.values),
            (statements.append.chainedTimed.sql, one.types, one.values),
            (statements.append.allChained.sql, two.types, two.values),
            (statements.append.allChainedTimed.sql, two.types, two.values),
        ]
        try await withTables { url, sql in
            try await prepare(knowledge, sql)
            try await sql.run("prepare settings(text, boolean) as \(statements.append.settings.sql)")
            try await sql.run("execute settings('on', false)")
            try await sql.run(statements.planning.sql)
            for (index, call) in calls.enumerated() {
                try await sql.run("prepare chained\(index)(\(call.1)) as \(call.0)")
                for _ in 0..<7 { try await sql.run("execute chained\(index)(\(call.2))") }
            }
            if knowledge.isOutdated { try await fillElsewhere(url) }
            for (index, call) in calls.enumerated() {
                let plan = try await sql.run("explain (costs off) execute chained\(index)(\(call.2))")
                    .map { $0[0] }.joined(separator: "\n")
                expectNoScan(plan, "\(index)")
                #expect(plan.contains("Index Scan using events_pkey"), "\(plan)")
                #expect(plan.contains(#/Index Cond: .*stream_id = .*"position" = /#), "\(plan)")
            }
        }
    }

    @Test("a coroutine's last yield and its close are found by indices of theirs, not by reading the stream")
    func heads() async throws {
        let statement = Statements(schema: try SchemaName("durable_streams")).heads.sql
        try await withTables { _, sql in
            try await fill(sql, streams: 4, eventsEach: 9000)
            try await sql.run("analyze events, streams")
            try await sql.run("prepare heads(text, text, bigint, boolean, bigint) as \(statement)")
            let plan = try await sql.run("explain (costs off) execute heads('s2', 'root.3', 9000, true, 7)")
                .map { $0[0] }
            for index in ["events_closes", "events_yields"] {
                #expect(plan.contains { $0.contains(index) }, "\(plan.joined(separator: "\n"))")
            }
        }
    }

    /// Calls of the functions that take every way through them.
    private static let calls: [(name: String, sql: String)] = {
        let event = #"array['{"type":"close","coroutineId":"r","result":{"status":"ok"}}']::json[]"#
        func batch(_ positions: String, exact: Bool) -> String {
            """
            select * from append_batch(array['s3', 's4'], array[null, null]::bigint[], array[\(positions)]::bigint[],
                array[\(exact), \(exact)], array[gen_random_uuid(), gen_random_uuid()], array[1, 2], array[0, 0],
                array['c', 'c']::"char"[], array['r', 'r'], array['{}', '{}']::json[])
            """
        }
        let chained = """
            insert into appends (stream_id, position, previous, token, kind, coroutine_id, event)
            select e.stream_id, e.position + 1, e.token, gen_random_uuid(), 'c', 'r', '{}'
            from events e join streams s on s.id = e.stream_id where s.name = 's5' and e.position = 19
            """
        let next = """
            select append_next(array[e.stream_id], array[e.position + 1], array[e.token], array[gen_random_uuid()],
                array['c']::"char"[], array['r'], array['{}']::json[])
            from events e join streams s on s.id = e.stream_id where s.name = 's1' and e.position = 19
            """
        return [
            ("append_batch at the end", batch("20, 20", exact: false)),
            ("append_batch behind", batch("0, 3", exact: false)),
            ("append_batch in conflict", batch("7, 9000", exact: true)),
            ("append_batch nowhere", batch("null, null", exact: false)),
            ("an append chained to the last", chained), ("append_next", next),
            ("append", "select * from append('s6', \(event))"),
            ("append at a position", "select * from append('s6', \(event), 5)"),
            ("claim", "select * from claim('s7')"),
            ("resolve", "select * from resolve('s8', gen_random_uuid(), 15)"),
            (
                "resolve what is there",
                """
                select * from resolve('s8', coalesce((
                    select e.token from events e
                    where e.stream_id = (select id from streams where name = 's8') and e.position = 15),
                    gen_random_uuid()), 15, true)
                """
            ),
            ("resolve past the end", "select * from resolve('s8', gen_random_uuid(), 5000)"),
            ("read", "select * from read('s9', 5, 10)"),
            (
                "a plain insert",
                """
                insert into events select id, (select max(position) + 1 from events e where e.stream_id = s.id),
                    now(), gen_random_uuid(), 'c', 'r', '{}' from streams s where name = 's10'
                """
            ),
        ]
    }()

    @Test(
        "no statement inside the functions scans a table",
        .enabled(if: TestServer.isPrivate, "auto_explain is loaded as a superuser"),
        arguments: Knowledge.allCases
    )
    func functions(_ knowledge: Knowledge) async throws {
        try await withTables { url, sql in
            try await prepare(knowledge, sql)
            try await withSQL(url, showsNotices: true) { caller in
                try await caller.run("set search_path = durable_streams")
                guard try await caller.refusal("load 'auto_explain'") == "00000" else { return }
                // What a session keeps of plans is kept through a rollback.
                for _ in 0..<7 {
                    for (_, call) in Self.calls {
                        try await caller.run("begin")
                        try await caller.run(call)
                        try await caller.run("rollback")
                    }
                }
                if knowledge.isOutdated { try await fill(sql) }
                for setting in ["log_min_duration = 0", "log_nested_statements = on", "log_level = notice"] {
                    try await caller.run("set auto_explain.\(setting)")
                }
                for (name, call) in Self.calls {
                    let notices = try await caller.run(call).flatMap(\.self).joined(separator: "\n")
                    #expect(notices.contains("Index"), "\(name):\n\(notices)")
                    expectNoScan(notices, name)
                }
            }
        }
    }
}
