import PrivatePostgres
import Testing

@testable import PostgresStreams

@Suite("Migrating", .serialized, .timeLimit(.minutes(10)))
struct MigratorTests {
    private static let allVersions = Array(1...Migrator.knownVersion)

    private func migrator(_ url: String, schema: String = "durable_streams") throws -> Migrator {
        var configuration = JournalConfiguration.quiet(url)
        configuration.schema = schema
        return try Migrator(configuration)
    }

    @Test("an empty database gets every version, once")
    func emptyDatabase() async throws {
        try await withTestDatabase(migrated: false) { url in
            let migrator = try migrator(url)
            #expect(try await migrator.pending() == Self.allVersions)
            #expect(try await migrator.migrate() == Self.allVersions)
            #expect(try await migrator.pending() == [])
            #expect(try await migrator.migrate() == [])
            try await withSQL(url) { sql in
                let rows = try await sql.run("select version, sha256 from durable_streams.migrations order by 1")
                #expect(rows.map { $0[0] } == Self.allVersions.map(String.init))
                #expect(rows.allSatisfy { $0[1].count == 64 })
            }
        }
    }

    @Test("of many that migrate at once one applies the files, the others find nothing to do")
    func atOnce() async throws {
        try await withTestDatabase(migrated: false) { url in
            let applied = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<8 { group.addTask { try await self.migrator(url).migrate() } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(applied.filter { !$0.isEmpty } == [Self.allVersions])
            try await withJournal(.quiet(url)) { journal in
                let stream = try journal.stream("s")
                #expect(try await stream.append(.close("root", .cancelled)) == 0)
            }
        }
    }

    @Test("so do many where the database's transactions have one snapshot and may not write, unless they say otherwise")
    func strictDefaults() async throws {
        try await withTestDatabase(migrated: false) { url in
            try await withSQL(url) { sql in
                let database = try await sql.value("select quote_ident(current_database())")
                for setting in ["isolation = 'serializable'", "read_only = on"] {
                    try await sql.run("alter database \(database) set default_transaction_\(setting)")
                }
            }
            let applied = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<8 { group.addTask { try await self.migrator(url).migrate() } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(applied.filter { !$0.isEmpty } == [Self.allVersions])
        }
    }

    @Test("a role's time-out for its statements does not cut a migration short, nor the wait for another's")
    func statementTimeout() async throws {
        try await withTestDatabase(migrated: false) { url in
            try await withSQL(url) { sql in
                let database = try await sql.value("select quote_ident(current_database())")
                try await sql.run("alter database \(database) set statement_timeout = '1s'")
                let lock = "hashtextextended('durable-streams migrate durable_streams', 0)"
                try await sql.run("select pg_advisory_lock(\(lock))")
                async let applied = migrator(url).migrate()
                try await until {
                    let waiting = "datname = current_database() and wait_event = 'advisory'"
                    return try await sql.integer("select count(*) from pg_stat_activity where \(waiting)") == 1
                }
                try await sql.run("select pg_sleep(1.5)")
                try await sql.run("select pg_advisory_unlock(\(lock))")
                #expect(try await applied == Self.allVersions)
            }
        }
    }

    @Test("one that waits for another can be cancelled")
    func cancelled() async throws {
        try await withTestDatabase(migrated: false) { url in
            try await withSQL(url) { sql in
                try await sql.run(
                    "select pg_advisory_lock(hashtextextended('durable-streams migrate durable_streams', 0))"
                )
                let task = Task { try await migrator(url).migrate() }
                try await until {
                    let waiting = "datname = current_database() and wait_event = 'advisory'"
                    return try await sql.integer("select count(*) from pg_stat_activity where \(waiting)") == 1
                }
                task.cancel()
                #expect(await thrown { try await task.value }?.code == .cancelled)
                let schemas = "select count(*) from pg_namespace where nspname = 'durable_streams'"
                #expect(try await sql.integer(schemas) == 0)
            }
        }
    }

    @Test("one that waits for another goes on waiting, in rounds, and is done when the other is")
    func waiting() async throws {
        try await withTestDatabase(migrated: false) { url in
            try await withSQL(url) { sql in
                let key = "hashtextextended('durable-streams migrate durable_streams', 0)"
                try await sql.run("select pg_advisory_lock(\(key))")
                let task = Task { try await migrator(url).migrate() }
                var rounds: Set<String> = []
                try await until {
                    let since = "select xact_start from pg_stat_activity"
                    let rows = try await sql.run(
                        "\(since) where datname = current_database() and wait_event = 'advisory'"
                    )
                    if let round = rows.first?[0] { rounds.insert(round) }
                    return rounds.count == 2
                }
                try await sql.run("select pg_advisory_unlock(\(key))")
                #expect(try await task.value == Self.allVersions)
            }
        }
    }

    @Test(
        "a server that lets us in and then says nothing is given up, at migrating, at checking and at opening",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func silentServer() async throws {
        let server = try await TestServer.shared.server()
        let proxy = try WireProxy(to: server.port)
        defer { proxy.close() }
        proxy.mute(true)
        let configuration = JournalConfiguration.with(
            "postgresql://postgres:\(server.password)@127.0.0.1:\(proxy.port)/postgres?sslmode=disable"
                + "&gssencmode=disable"
        ) { $0.openTimeout = .milliseconds(500) }
        for attempt in [
            { _ = try await Migrator(configuration).migrate() },
            { _ = try await Migrator(configuration).pending() },
            { _ = try await Journal.open(configuration, migrate: true) },
        ] {
            let count = proxy.mutedCount
            // Where the machine is slow, there may be no connection in time.
            repeat {
                #expect(await thrown { try await attempt() }?.code == .unreachable)
            } while proxy.mutedCount == count
        }
    }

    @Test("a journal can be opened and migrated in one step, by several at once")
    func opening() async throws {
        try await withTestDatabase(migrated: false) { url in
            let configuration = JournalConfiguration.quiet(url)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for n in 0..<4 {
                    group.addTask {
                        try await withJournal(configuration, migrate: true) { journal in
                            _ = try await journal.stream("s\(n)").append(.close("root", .cancelled))
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("a file that was changed after it was applied is refused, by name")
    func alteredFile() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                let other = String(repeating: "ab", count: 32)
                try await sql.run("update durable_streams.migrations set sha256 = '\(other)' where version = 2")
            }
            for attempt in [{ try await self.migrator(url).migrate() }, { try await self.migrator(url).pending() }] {
                let error = await thrown { try await attempt() }
                #expect(error?.code == .schemaAltered)
                #expect(error?.description.contains("0002_append") == true)
                #expect(error?.description.contains("abababababab") == true)
            }
        }
    }

    @Test("a database newer than the library is refused with both versions, at migrating and at opening")
    func newerDatabase() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                try await sql.run("insert into durable_streams.migrations (version, name) values (99, '0099_later')")
            }
            let known = Migrator.knownVersion
            for attempt in [
                { _ = try await self.migrator(url).migrate() },
                { _ = try await Journal.open(.quiet(url)) },
                { _ = try await Journal.open(.quiet(url), migrate: true) },
            ] {
                let error = await thrown { try await attempt() }
                #expect(error?.code == .schemaAhead)
                #expect(error?.description.contains("version 99") == true)
                #expect(error?.description.contains("up to \(known)") == true)
            }
        }
    }

    @Test("a database older than the library is refused at opening, and named with both versions")
    func olderDatabase() async throws {
        try await withTestDatabase { url in
            let known = Migrator.knownVersion
            try await withSQL(url) { sql in
                try await sql.run("delete from durable_streams.migrations where version = \(known)")
            }
            let error = await thrown {
                try await Journal.open(.quiet(url))
            }
            #expect(error?.code == .schemaBehind)
            #expect(error?.description.contains("version \(known - 1)") == true)
            #expect(error?.description.contains("needs \(known)") == true)
            #expect(try await migrator(url).pending() == [known])
            #expect(try await migrator(url).migrate() == [known])
        }
    }

    @Test("a journal is not opened where there is none")
    func missing() async throws {
        try await withTestDatabase(migrated: false) { url in
            try await withSQL(url) { try await $0.run("create schema empty_one") }
            for schema in ["durable_streams", "empty_one"] {
                var configuration = JournalConfiguration.quiet(url)
                configuration.schema = schema
                let error = await thrown {
                    try await Journal.open(configuration)
                }
                #expect(error?.code == .schemaBehind)
                #expect(error?.description.contains(schema) == true)
                #expect(error?.description.contains("durable-streams migrate") == true)
            }
        }
    }

    @Test(
        "a schema can have any name that PostgreSQL can store",
        arguments: [
            "Journal", "with space", "semi;drop table x", "quo\"te", "it's", "$migration_file$", "$sql_of_file$",
            "select",
            "日本語", "a.b", "%I", ":name", "back\\slash", "0", String(repeating: "n", count: 63),
        ]
    )
    func schemaNames(_ name: String) async throws {
        try await withTestDatabase(migrated: false) { url in
            var configuration = JournalConfiguration.quiet(url)
            configuration.schema = name
            try await withJournal(configuration, migrate: true) { journal in
                let stream = try journal.stream("s")
                async let tailed = stream.tail(untilClose: true).reduce(into: 0) { count, _ in count += 1 }
                let claim = try await stream.claim()
                try await claim.stream.append(.close("root.0", .ok(nil)))
                try await claim.stream.append(.close("root", .ok(nil)))
                #expect(try await tailed == 2)
                #expect(try await stream.nextPosition() == 2)
            }
            try await withSQL(url) { sql in
                let schema = try await sql.value("select nspname from pg_namespace where nspname = \(name.literal)")
                #expect(schema == name)
                #expect(
                    try await sql.value("select count(*) from pg_namespace where nspname = 'durable_streams'") == "0"
                )
            }
        }
    }

    @Test(
        "a name that no schema can have is refused before anything is sent",
        arguments: [
            "", "pg_mine", "$user", String(repeating: "n", count: 64), String(repeating: "é", count: 32), "nu\0l",
            "line\nend",
        ]
    )
    func impossibleSchemaNames(_ name: String) async throws {
        var configuration = JournalConfiguration.quiet("postgresql://127.0.0.1:1/nowhere")
        configuration.schema = name
        let refusal = await thrown { try Migrator(configuration) }
        #expect(refusal?.code == .invalidArgument)
        let error = await thrown {
            try await Journal.open(configuration, migrate: true)
        }
        #expect(error?.code == .invalidArgument)
    }

    @Test("two journals in two schemas of one database share nothing")
    func twoSchemas() async throws {
        try await withTestDatabase { url in
            var other = JournalConfiguration.quiet(url)
            other.schema = "Other one"
            try await withJournal(.quiet(url)) { journal in
                try await withJournal(other, migrate: true) { otherJournal in
                    try await journal.stream("s").append(.close("here", .cancelled))
                    let otherStream = try otherJournal.stream("s")
                    #expect(try await otherStream.readAll().isEmpty)
                    #expect(try await otherStream.append(.close("there", .cancelled)) == 0)
                    let stream = try journal.stream("s")
                    #expect(try await stream.readAll().map(\.coroutineID) == ["here"])
                }
            }
        }
    }

    @Test("a migration that fails leaves nothing behind")
    func failure() async throws {
        try await withTestDatabase(migrated: false) { url in
            try await withSQL(url) { sql in
                // Stands in the way of the second file.
                try await sql.run("create schema durable_streams")
                try await sql.run(
                    """
                    create function durable_streams.claim(p_stream text, p_synchronous_commit text)
                    returns integer language sql as 'select 1'
                    """
                )
                let error = await thrown { try await self.migrator(url).migrate() }
                #expect(error?.code == .refused)
                #expect(error?.sqlState == "42723")
                let tables = try await sql.value("select count(*) from pg_tables where schemaname = 'durable_streams'")
                #expect(tables == "0")
                try await sql.run("drop function durable_streams.claim(text, text)")
            }
            #expect(try await migrator(url).migrate() == Self.allVersions)
        }
    }
}
