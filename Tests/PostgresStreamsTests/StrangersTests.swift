import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// Schemas that are not, or not only, of whoever migrates: what others have put there would run with the migrator's rights.
@Suite(
    "Strangers in the schema",
    .timeLimit(.minutes(5)),
    .enabled(if: TestServer.isPrivate, "roles are created as a superuser")
)
struct StrangersTests {
    /// Two roles of a database's own, `app` and `mallory`, who may create in it.
    private struct Scene {
        let url: String
        let sql: SQLSession
        let app: String
        let mallory: String
        /// As `app`.
        let appURL: String

        static func with(_ body: (Scene) async throws -> Void) async throws {
            let server = try await TestServer.shared.server()
            try await withTestDatabase(migrated: false) { url in
                try await withSQL(url) { sql in
                    let number = try await sql.value("select oid from pg_database where datname = current_database()")
                    let database = try await sql.value("select current_database()")
                    let (app, mallory) = ("app_\(number)", "mallory_\(number)")
                    for role in [app, mallory] {
                        try await sql.run("create role \(role) login")
                        try await sql.run("grant create on database \(database) to \(role)")
                    }
                    let appURL = server.databaseURL(database: database, user: app)
                    try await body(Scene(url: url, sql: sql, app: app, mallory: mallory, appURL: appURL))
                    for role in [mallory, app] {
                        try await sql.run("drop owned by \(role) cascade")
                        try await sql.run("drop role \(role)")
                    }
                }
            }
        }

        func run(_ statements: String) async throws {
            for statement in statements.split(separator: ";") {
                try await sql.run(
                    String(statement).replacing("MALLORY", with: mallory).replacing("APP", with: app)
                )
            }
        }
    }

    @Test(
        "are refused, by name and with what to do, before anything is migrated, by script too",
        arguments: [
            ("create schema durable_streams authorization MALLORY", "alter schema durable_streams owner to postgres"),
            (
                "create schema durable_streams; grant create on schema durable_streams to public",
                "revoke create on schema durable_streams from public"
            ),
            (
                "create schema durable_streams; grant create on schema durable_streams to MALLORY",
                "revoke create on schema durable_streams from MALLORY"
            ),
            (
                """
                create schema durable_streams;
                create function durable_streams.cardinality(text[]) returns integer language sql as 'select 1';
                alter function durable_streams.cardinality(text[]) owner to MALLORY
                """,
                "drop the function durable_streams.cardinality(text[]) of MALLORY"
            ),
            (
                """
                create schema durable_streams;
                create operator durable_streams.= (leftarg = bigint, rightarg = integer, function = pg_catalog.int84eq);
                alter operator durable_streams.= (bigint, integer) owner to MALLORY
                """,
                "drop the operator durable_streams.=(bigint,integer) of MALLORY"
            ),
            (
                "create schema durable_streams; create view durable_streams.migrations as select 4 as version;"
                    + "alter view durable_streams.migrations owner to MALLORY",
                "drop the view durable_streams.migrations of MALLORY"
            ),
            (
                "create schema durable_streams; create domain durable_streams.uuid as pg_catalog.uuid;"
                    + "alter domain durable_streams.uuid owner to MALLORY",
                "drop the type durable_streams.uuid of MALLORY"
            ),
        ]
    )
    func refused(_ preparation: String, _ advice: String) async throws {
        try await Scene.with { scene in
            try await scene.run(preparation)
            let advice = advice.replacing("MALLORY", with: scene.mallory)
            let error = await thrown { try await Migrator(.quiet(scene.url)).migrate() }
            #expect(error?.code == .unfit)
            #expect(error?.message.contains(advice) == true, "\(error?.message ?? "")")
            _ = try await scene.sql.refusal(try Migrator(.quiet(scene.url)).script)
            try await scene.sql.run("rollback")
            #expect(try await scene.sql.value("select to_regclass('durable_streams.events') is null") == "t")
        }
    }

    @Test(
        "are not those who have the migrator's rights in any case",
        arguments: [
            "create schema durable_streams; grant usage, create on schema durable_streams to APP",
            """
            create schema durable_streams authorization APP; grant APP to MALLORY;
            grant create on schema durable_streams to MALLORY
            """,
            """
            create schema durable_streams authorization APP;
            create function durable_streams.cardinality(text[]) returns integer language sql as 'select 1'
            """,
        ]
    )
    func trusted(_ preparation: String) async throws {
        try await Scene.with { scene in
            try await scene.run(preparation)
            try await withJournal(.quiet(scene.appURL), migrate: true) { journal in
                let position = try await journal.stream("s").append(.close(.root, .cancelled))
                #expect(position == 0)
            }
            let diagnosis = try await Doctor(.quiet(scene.appURL)).examinePatiently()
            #expect(diagnosis["schema rights"] == nil, "\(diagnosis.findings)")
            try await Migrator(.quiet(scene.appURL)).migrate()
        }
    }

    @Test("the schema public is its database's owner's")
    func publicSchema() async throws {
        try await Scene.with { scene in
            let database = try await scene.sql.value("select current_database()")
            try await scene.run("alter database \(database) owner to APP")
            try await scene.run(
                "alter schema public owner to pg_database_owner; revoke create on schema public from public"
            )
            let configuration = JournalConfiguration.with(scene.appURL) { $0.schema = "public" }
            try await Migrator(configuration).migrate()
            try await scene.run("alter database \(database) owner to MALLORY")
            let error = await thrown { try await Migrator(configuration).migrate() }
            #expect(error?.code == .unfit)
            try await scene.run("alter database \(database) owner to postgres")
        }
    }

    @Test("that came later are a problem to the doctor, and to the next migration")
    func later() async throws {
        try await Scene.with { scene in
            try await Migrator(.quiet(scene.appURL)).migrate()
            for (preparation, end) in [
                (
                    "grant create on schema durable_streams to MALLORY",
                    "revoke create on schema durable_streams from MALLORY"
                ),
                ("alter schema durable_streams owner to MALLORY", "alter schema durable_streams owner to APP"),
            ] {
                try await scene.run(preparation)
                let finding = try #require(try await Doctor(.quiet(scene.url)).examinePatiently()["schema rights"])
                #expect(finding.verdict == .problem)
                #expect(
                    finding.advice?.contains(
                        end.replacing("MALLORY", with: scene.mallory).replacing("APP", with: scene.app)
                    ) == true
                )
                #expect(await thrown { try await Migrator(.quiet(scene.appURL)).migrate() }?.code == .unfit)
                try await scene.run(end)
                try await Migrator(.quiet(scene.appURL)).migrate()
            }
            // Who is not its owner migrates nothing, were it only to look whether there is something.
            let error = await thrown { try await Migrator(.quiet(scene.url)).migrate() }
            #expect(error?.message.contains("or migrate as \(scene.app)") == true, "\(error?.message ?? "")")
            let separator = scene.url.contains("?") ? "&" : "?"
            try await Migrator(.quiet("\(scene.url)\(separator)options=-c%20role%3D\(scene.app)")).migrate()
        }
    }
}
