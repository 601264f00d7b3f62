import Foundation
import PrivatePostgres
import Testing

@testable import PostgresStreams

/// The functions that run with their owner's rights, and who would like to have those.
@Suite(
    "Functions with their owner's rights",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "roles are created as a superuser")
)
struct DefinerTests {
    /// Of those that could be misled: who may call them, and where they look for what they name.
    private static let misled = """
        select p.proname from pg_proc p
        where p.pronamespace = 'by_hand'::regnamespace and (
            exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
            or p.prosecdef and not exists (
                select from unnest(p.proconfig) c (line) where line like 'search\\_path=%, pg\\_temp'))
        """

    @Test(
        "nobody may call them who was not granted it, and they look nowhere else, each file run in a session of its own"
    )
    func everyFunction() async throws {
        try await withTestDatabase(migrated: false) { url in
            try await withSQL(url) { try await $0.run("create schema by_hand") }
            let folder = URL(fileURLWithPath: Roles.file).deletingLastPathComponent()
            for file in MigrationFile.all {
                try await withSQL(url) { sql in
                    try await sql.run("set search_path = by_hand")
                    try await sql.run("\\i \(folder.appendingPathComponent("\(file.name).sql").path.literal)")
                }
            }
            try await withSQL(url) { sql in
                let misled = try await sql.run(Self.misled).map { $0[0] }
                #expect(misled == [], "\(misled)")
            }
        }
    }

    /// A table of the attacker's own, whose column compares with ours by a function of theirs.
    private static let preparation = [
        "create type pg_temp.mine as enum ('x')",
        """
        create function pg_temp.f(pg_temp.mine) returns bigint language plpgsql
            as $$ begin raise exception 'it runs as %', current_user; end $$
        """,
        "create cast (pg_temp.mine as bigint) with function pg_temp.f(pg_temp.mine) as implicit",
        "create temp table t (stream_id pg_temp.mine, position bigint, kind \"char\")",
    ]

    @Test("a guard that a reader puts on a table of their own does not run their code as the owner")
    func trigger() async throws {
        try await Roles.with { roles in
            try await roles.owner.run(
                #"select * from durable_streams.append('s', array['{"type":"close","coroutineId":"root","#
                    + #""result":{"status":"ok"}}']::json[])"#
            )
            for isGranted in [false, true] {
                if isGranted {
                    try await roles.owner.run("grant execute on function durable_streams.check_insert() to public")
                }
                for role in [roles.reader, roles.writer] {
                    try await withSQL(role) { sql in
                        for statement in Self.preparation { try await sql.run(statement) }
                        let trigger =
                            "create trigger t before insert on t for each row execute function "
                            + "durable_streams.check_insert()"
                        let made = try await sql.refusal(trigger)
                        #expect(made == (isGranted ? "00000" : "42501"))
                        let inserted = try await sql.refusal("insert into t values ('x', 0, 'y')")
                        #expect(inserted == (isGranted ? "42501" : "00000"))
                    }
                }
            }
        }
    }
}
