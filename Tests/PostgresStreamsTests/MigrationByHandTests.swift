import Foundation
import PrivatePostgres
import Testing

@testable import PostgresStreams

@Suite("Migrating by hand, and without rights", .serialized, .timeLimit(.minutes(10)))
struct MigrationByHandTests {
    /// Everything the files make, with the schema's name taken out, so that two schemas can be compared.
    private func catalog(of schema: String, _ sql: SQLSession) async throws -> [[String]] {
        let name = schema.literal
        // Or names in definitions would be qualified in one and not in the other.
        try await sql.run("set search_path = pg_catalog")
        return try await sql.run(
            """
            with s as (select oid from pg_namespace where nspname = \(name)),
            things (kind, definition) as (
                select 'column', c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                    || ' ' || a.attnotnull::text || ' ' || a.attidentity::text || ' ' || a.attcompression::text || ' '
                    || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
                from pg_class c join pg_attribute a on a.attrelid = c.oid left join pg_attrdef d
                    on d.adrelid = c.oid and d.adnum = a.attnum
                where c.relnamespace = (select oid from s) and c.relkind = 'r' and a.attnum > 0
                union all
                select 'options', relname || coalesce(array_to_string(reloptions, ','), '') || relacl::text
                from pg_class where relnamespace = (select oid from s)
                union all
                select 'constraint', conname || pg_get_constraintdef(oid)
                from pg_constraint where connamespace = (select oid from s)
                union all
                select 'index', indexdef from pg_indexes where schemaname = \(name)
                union all
                select 'function', pg_get_functiondef(oid) || proacl::text
                from pg_proc where pronamespace = (select oid from s)
                union all
                select 'trigger', pg_get_triggerdef(t.oid)
                from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = (select oid from s)
                union all
                select 'comment', objsubid || description from pg_description
                where objoid in (select oid from pg_class where relnamespace = (select oid from s))
                union all
                select 'applied', version || name || sha256 from \"\(schema)\".migrations
            )
            select kind, replace(definition, \(name), 'here') from things order by 1, 2
            """
        )
    }

    private func script(schema: String) throws -> String {
        var configuration = JournalConfiguration()
        configuration.schema = schema
        return try Migrator(configuration).script
    }

    /// The files' paths, in order.
    private var files: [String] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return MigrationFile.all.map { root.appendingPathComponent("Migrations/\($0.name).sql").path }
    }

    @Test("the script run by psql makes what migrate makes")
    func printedScript() async throws {
        try await withTestDatabase(migrated: false) { url in
            var configuration = JournalConfiguration.quiet(url)
            configuration.schema = "by_migrate"
            try await Migrator(configuration).migrate()
            try await withSQL(url) { sql in
                let path = try await sql.value("show search_path")
                try await sql.run(try script(schema: "by_script"))
                #expect(try await sql.value("show search_path") == path)
                let migrated = try await catalog(of: "by_migrate", sql)
                #expect(migrated.count > 60)
                let scripted = try await catalog(of: "by_script", sql)
                #expect(Set(migrated).symmetricDifference(scripted) == [])
            }
            configuration.schema = "by_script"
            #expect(try await Migrator(configuration).migrate() == [])
        }
    }

    @Test("files that a person ran by hand are adopted")
    func runByHand() async throws {
        try await withTestDatabase(migrated: false) { url in
            var configuration = JournalConfiguration.quiet(url)
            configuration.schema = "by_hand"
            var other = configuration
            other.schema = "by_migrate"
            try await Migrator(other).migrate()
            try await withSQL(url) { sql in
                try await sql.run("create schema by_hand")
                try await sql.run("set search_path = by_hand")
                for file in files { try await sql.run("\\i \(file.literal)") }
                let withoutSum = "select count(*) from by_hand.migrations where sha256 is null"
                #expect(try await sql.integer(withoutSum) == files.count)
                try await withJournal(configuration) { journal in
                    let stream = try journal.stream("s")
                    #expect(try await stream.append(.close("root", .cancelled)) == 0)
                }
                let applied = try await Migrator(configuration).migrate()
                #expect(applied == [])
                #expect(try await sql.integer(withoutSum) == 0)
                let migrated = try await catalog(of: "by_migrate", sql)
                let byHand = try await catalog(of: "by_hand", sql)
                #expect(Set(migrated).symmetricDifference(byHand) == [])
            }
        }
    }

    @Test("half of the files by hand, the rest by migrate")
    func halfByHand() async throws {
        try await withTestDatabase(migrated: false) { url in
            try await withSQL(url) { sql in
                try await sql.run("create schema durable_streams")
                try await sql.run("set search_path = durable_streams")
                for file in files.prefix(2) { try await sql.run("\\i \(file.literal)") }
            }
            let migrator = try Migrator(.quiet(url))
            #expect(try await migrator.migrate() == Array(3...Migrator.knownVersion))
        }
    }

    @Test(
        "a role that owns a schema and may do nothing else can migrate it",
        .enabled(if: TestServer.isPrivate, "roles are created as a superuser")
    )
    func schemaOwner() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase(migrated: false) { url in
            let database = try await withSQL(url) { sql in
                let database = try await sql.value("select current_database()")
                try await sql.run("create role schema_owner login nosuperuser nocreatedb nocreaterole")
                try await sql.run("revoke create, temporary on database \"\(database)\" from public")
                try await sql.run("revoke create on schema public from public")
                try await sql.run("create schema \"Its own\" authorization schema_owner")
                return database
            }
            var configuration = JournalConfiguration.quiet(
                server.databaseURL(database: database, user: "schema_owner")
            )
            let error = await thrown {
                try await Migrator(configuration).migrate()
            }
            #expect(error?.sqlState == "42501")
            try await withSQL(url) { try await $0.run("create schema \"By 'script'\" authorization schema_owner") }
            try await withSQL(configuration.databaseURL) { sql in try await sql.run(try script(schema: "By 'script'")) }
            configuration.schema = "By 'script'"
            #expect(try await Migrator(configuration).pending() == [])
            configuration.schema = "Its own"
            try await withJournal(configuration, migrate: true) { journal in
                let stream = try journal.stream("s")
                #expect(try await stream.append(.close("root", .cancelled)) == 0)
                #expect(try await stream.claim().epoch == 1)
            }
        }
    }
}
