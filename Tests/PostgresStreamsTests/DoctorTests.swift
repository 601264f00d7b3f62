import PrivatePostgres
import Testing

@testable import PostgresStreams

/// The doctor, on servers that are well and on servers with something planted.
@Suite(
    "The doctor",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "settings are planted as a superuser")
)
struct DoctorTests {
    private func examine(
        _ url: String,
        _ change: ConfigurationChange = .none,
        upTo check: String? = nil
    ) async throws -> Diagnosis {
        var configuration = JournalConfiguration.quiet(url)
        change.apply(&configuration)
        return try await Doctor(configuration).examinePatiently(upTo: check)
    }

    /// Runs `plant` in a database with a journal, then the doctor there.
    private func examine(
        planting sql: String,
        as user: String? = nil,
        migrated: Bool = true,
        withRoles hasRoles: Bool = false
    ) async throws -> Diagnosis {
        let server = try await TestServer.shared.server()
        return try await withTestDatabase(migrated: migrated) { url in
            let database = try await withSQL(url) { session in
                let database = try await session.value("select current_database()")
                if hasRoles { try await Roles.make(in: session) }
                try await session.run(sql.replacing("DATABASE", with: "\"\(database)\""))
                return database
            }
            return try await examine(server.databaseURL(database: database, user: user))
        }
    }

    @Test("finds nothing wrong on a server that is well, and looks at all of it")
    func well() async throws {
        try await withTestDatabase { url in
            let diagnosis = try await examine(url)
            let checks = [
                "libpq", "connection", "tls", "pooler", "server", "primary", "schema", "role", "guards", "connections",
                "fsync", "storage", "synchronous_commit", "standbys", "timeouts", "autovacuum", "notification queue",
                "clock", "listening", "commit",
            ]
            #expect(diagnosis.findings.map(\.check) == checks)
            // The tests are a superuser's; whether a commit or a notification is fast is the machine's affair.
            let troubled = Set(diagnosis.findings.filter { $0.verdict != .ok }.map(\.check))
            #expect(troubled.subtracting(["commit", "listening"]) == ["role"], "\(diagnosis.findings)")
            #expect(diagnosis["role"]?.verdict == .warning)
            for finding in diagnosis.findings where finding.verdict != .ok {
                #expect(finding.meaning?.isEmpty == false && finding.advice?.isEmpty == false, "\(finding)")
            }
        }
    }

    @Test("changes nothing")
    func harmless() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                let state = """
                    select (select count(*) from pg_class), (select count(*) from pg_proc),
                        (select count(*) from durable_streams.streams), (select count(*) from durable_streams.events),
                        (select string_agg(m::text, ';') from durable_streams.migrations m),
                        (select count(*) from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
                            where d.datname = current_database())
                    """
                let before = try await sql.run(state)
                _ = try await examine(url)
                #expect(try await sql.run(state) == before)
                try await until {
                    try await sql.integer(
                        """
                        select count(*) from pg_stat_activity
                        where datname = current_database() and pid <> pg_backend_pid()
                        """
                    ) == 0
                }
            }
        }
    }

    @Test(
        "through a pooler in transaction mode it says so, hears nothing, and finds the rest well",
        .enabled(if: Pooler.program != nil, "there is no pgbouncer in PATH or /usr/sbin")
    )
    func pooler() async throws {
        try await withPooler { pooled, direct in
            let diagnosis = try await examine(pooled, .with { $0.listening.probeTimeout = .milliseconds(300) })
            #expect(diagnosis["pooler"]?.meaning != nil)
            #expect(diagnosis["listening"]?.verdict == .warning)
            #expect(diagnosis["listening"]?.advice?.contains("listenURL") == true)
            // Nor is anything left behind, as what a client listened for stays with the pooler's connection.
            try await withJournal(.quiet(pooled)) { journal in
                let channels = try await journal.transaction { try await $0.query("select pg_listening_channels()") }
                #expect(channels.isEmpty)
            }
            #expect(diagnosis["schema"]?.verdict == .ok)
            #expect(diagnosis["commit"] != nil)
            try await withSQL(direct) { sql in
                let database = try await sql.value("select current_database()")
                try await sql.run("alter database \"\(database)\" set default_transaction_isolation = 'serializable'")
                // The pooler's connections began before.
                try await sql.run(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                        + "where datname = current_database() and pid <> pg_backend_pid()"
                )
            }
            try await until { try await examine(pooled)["isolation"]?.verdict == .problem }
            let past = try await examine(
                pooled,
                .with {
                    $0.listenURL = direct
                    $0.listening.probeTimeout = .seconds(600)
                }
            )
            #expect(past["listening"]?.verdict == .ok, "\(past.findings)")
        }
    }

    @Test(
        "through a pooler in session mode it hears, as tails do",
        .enabled(if: Pooler.program != nil, "there is no pgbouncer in PATH or /usr/sbin")
    )
    func sessionPooler() async throws {
        try await withPooler(.session) { pooled, _ in
            let diagnosis = try await examine(pooled, .patientProbes)
            #expect(diagnosis["pooler"]?.meaning != nil)
            #expect(diagnosis["listening"]?.verdict == .ok, "\(diagnosis.findings)")
        }
    }

    /// What is planted, in which finding it shows, how bad it is, and a word of it.
    struct Plant: Sendable, CustomTestStringConvertible {
        var sql: String
        var check: String
        var verdict: Finding.Verdict
        var word: String

        init(_ sql: String, _ check: String, _ verdict: Finding.Verdict, _ word: String) {
            (self.sql, self.check, self.verdict, self.word) = (sql, check, verdict, word)
        }

        var testDescription: String { sql }
    }

    @Test(
        "finds what was planted, and how bad it is",
        arguments: [
            Plant(
                "alter role postgres in database DATABASE set synchronous_commit = off",
                "synchronous_commit",
                .warning,
                "off, set for role postgres in this database"
            ),
            Plant("alter database DATABASE set statement_timeout = '400ms'", "timeouts", .problem, "400 ms"),
            Plant("alter database DATABASE set statement_timeout = '5s'", "timeouts", .warning, "5 s"),
            Plant("alter database DATABASE set idle_session_timeout = '10s'", "timeouts", .warning, "10 s"),
            Plant(
                "alter database DATABASE set default_transaction_isolation = 'serializable'",
                "isolation",
                .ok,
                "serializable"
            ),
            Plant(
                "alter database DATABASE set default_transaction_read_only = on",
                "primary",
                .problem,
                "read-only"
            ),
            Plant("delete from durable_streams.migrations where version = 4", "schema", .problem, "lacks migration 4"),
            Plant(
                "insert into durable_streams.migrations (version, name) values (9001, 'new')",
                "schema",
                .problem,
                "9001"
            ),
            Plant(
                "update durable_streams.migrations set sha256 = repeat('0', 64) where version = 1",
                "schema",
                .problem,
                "0001_journal"
            ),
            Plant("drop schema durable_streams cascade", "schema", .problem, "there is no schema durable_streams"),
            Plant("alter table durable_streams.events set unlogged", "storage", .problem, "events"),
            Plant(
                "alter table durable_streams.events disable trigger events_are_never_changed",
                "guards",
                .warning,
                "events_are_never_changed"
            ),
            Plant("alter database DATABASE set session_replication_role = replica", "guards", .problem, "replica"),
            Plant(
                "alter table durable_streams.events set (autovacuum_enabled = off)",
                "autovacuum",
                .warning,
                "events"
            ),
        ]
    )
    func planted(_ plant: Plant) async throws {
        var diagnosis = try await examine(planting: plant.sql)
        // Where a short time-out has cut off that very question, nothing is known of it.
        while plant.check == "timeouts", diagnosis.findings.contains(where: { $0.found.hasPrefix("the settings:") }) {
            diagnosis = try await examine(planting: plant.sql)
        }
        let finding = try #require(diagnosis.findings.first { $0.check == plant.check }, "\(diagnosis.findings)")
        #expect(finding.verdict == plant.verdict, "\(finding)")
        #expect(finding.found.contains(plant.word), "\(finding)")
        #expect(finding.advice != nil || plant.check == "schema" || finding.verdict == .ok)
        // And nothing else is worse than before; but a short time-out may have cut off any question.
        guard plant.check != "timeouts" else { return }
        // How long a commit takes is the machine's affair.
        let others = diagnosis.findings.filter {
            $0.verdict == .problem && $0.check != plant.check && $0.check != "commit"
        }
        #expect(others.isEmpty, "\(others)")
    }

    @Test("a time-out so short that even questions are cancelled is a problem, not an answer")
    func impossibleTimeout() async throws {
        let diagnosis = try await examine(planting: "alter database DATABASE set statement_timeout = '1ms'")
        #expect(diagnosis["timeouts"]?.verdict == .problem, "\(diagnosis.findings)")
    }

    @Test("a role without rights, one that only reads, and one with rights it does not need")
    func roles() async throws {
        for (grants, verdict, word) in [
            ("", Finding.Verdict.problem, "no right to use the schema"),
            ("grant usage on schema durable_streams to NAME;", .problem, "may not read"),
            ("grant durable_streams_reader to NAME;", .warning, "reads and tails only"),
            (
                "grant durable_streams_reader to NAME; grant execute on function durable_streams.claim to NAME;",
                .problem,
                "may not use announce, append_batch, append_next, appends, resolve"
            ),
            ("grant durable_streams_writer to NAME;", .ok, "through the functions and the view appends only"),
            (
                "grant durable_streams_writer to NAME; grant insert on durable_streams.events to NAME;", .warning,
                "write by itself to events"
            ),
        ] {
            let name = "patient_\(UInt32.random(in: .min ... .max))"
            let sql = """
                do $do$ begin
                create role NAME login;
                \(grants)
                end $do$
                """
            let diagnosis = try await examine(planting: sql.replacing("NAME", with: name), as: name, withRoles: true)
            let finding = try #require(diagnosis["role"])
            #expect(finding.verdict == verdict, "\(finding)")
            #expect(finding.found.contains(word), "\(finding)")
        }
    }

    @Test("a server that forgets, and one whose commits wait for a standby that is not there")
    func unsafeServers() async throws {
        try await withPrivatePostgres(.init(settings: ["fsync": "off", "autovacuum": "off"])) { server in
            let diagnosis = try await examine(server.databaseURL)
            #expect(diagnosis["fsync"]?.verdict == .problem)
            #expect(diagnosis["schema"]?.verdict == .problem)
        }
        try await withPrivatePostgres(.init(settings: ["synchronous_standby_names": "nobody"])) { server in
            let diagnosis = try await examine(server.databaseURL)
            #expect(diagnosis["standbys"]?.verdict == .problem, "\(diagnosis.findings)")
            #expect(diagnosis["commit"] == nil, "it must not be left waiting")
        }
    }

    @Test(
        "knows how many synchronous standbys a commit waits for",
        arguments: [
            ("a", 1), ("a, b", 1), ("*", 1), ("2 (a, b, c)", 2), ("FIRST 3 (a, b, c)", 3), ("any 2(*)", 2),
            (" ANY  12 ( \"odd 3 (name\" )", 12), ("\"9 (\", a", 1),
        ]
    )
    func neededStandbys(_ names: String, _ count: Int) {
        #expect(ServerFacts.neededStandbys(names) == count)
    }

    @Test("a table that is locked does not keep it for ever")
    func locked() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                try await sql.run("begin")
                try await sql.run("lock table durable_streams.migrations")
                // Once: it is to be kept waiting.
                let diagnosis = try await Doctor(.quiet(url)).examine()
                #expect(diagnosis.findings.last?.check == "connection")
                #expect(diagnosis.findings.last?.found.contains("did not answer in time") == true)
            }
        }
    }

    @Test(
        "a listening test that is cut or cancelled is not taken for one that heard nothing",
        arguments: [true, false]
    )
    func unheard(isCut: Bool) async throws {
        try await withTestDatabase { url in
            // Notifications stay in their database.
            try await withTestDatabase { elsewhere in
                let task = Task {
                    try await examine(
                        url,
                        .with { configuration in
                            configuration.listenURL = elsewhere
                            configuration.listening.probeTimeout = .seconds(600)
                        },
                        // Listening anew, it would be cut by nobody.
                        upTo: "listening"
                    )
                }
                try await withSQL(elsewhere) { sql in
                    let listener =
                        "from pg_stat_activity where datname = current_database() and query ilike 'listen %'"
                    // Cut while it is asked to listen, it would say something else.
                    try await until { try await sql.integer("select count(*) \(listener) and state = 'idle'") == 1 }
                    if isCut {
                        try await sql.run("select pg_terminate_backend(pid) \(listener)")
                    } else {
                        task.cancel()
                    }
                }
                let finding = try #require(try await task.value["listening"])
                #expect(finding.verdict == .warning)
                #expect(finding.found.contains(isCut ? "was cut" : "was cancelled"), "\(finding)")
            }
        }
    }

    @Test("nobody there, nobody by that name, and no connection string are findings, not errors")
    func unreachable() async throws {
        let server = try await TestServer.shared.server()
        for url in [
            "postgresql://postgres@127.0.0.1:1/postgres?connect_timeout=2", server.databaseURL(database: "nobody"),
            "postgresql://planted-secret@[",
        ] {
            let diagnosis = try await examine(url, .with { $0.openTimeout = .seconds(1) })
            #expect(diagnosis.findings.map(\.check) == ["libpq", "connection"])
            #expect(diagnosis.verdict == .problem)
            #expect(!"\(diagnosis)".contains("planted-secret"))
        }
    }
}
