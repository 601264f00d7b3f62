import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// What one transaction of the caller's leaves to the next over the same connection: nothing.
@Suite("Transactions of the caller, one after the other", .serialized, .timeLimit(.minutes(10)))
struct TransactionEndTests {
    private static let event = DurableEvent.close("root", .cancelled)

    /// With a single connection, so that the next transaction has the last one's.
    private func withOneConnection(_ body: (Journal) async throws -> Void) async throws {
        let change = ConfigurationChange.with {
            $0.transactionConnections = 1
            $0.appendDeadline = .seconds(240)
        }
        try await withTestJournal(change, body)
    }

    private func expectOver(_ tx: JournalTransaction, _ stream: PostgresStream) async {
        let query = await thrown { try await tx.query("create table leaked ()") }
        #expect(query?.code == .invalidArgument)
        #expect(query?.outcome == .notWritten)
        let append = await thrown { try await tx.append(Self.event, to: stream) }
        #expect(append?.code == .invalidArgument)
        #expect(append?.outcome == .notWritten)
        let cancelled = await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await thrown { try await tx.query("create table leaked ()") }
        }.value
        #expect(cancelled?.outcome == .notWritten)
    }

    private func pid(_ tx: JournalTransaction) async throws -> Int? {
        try await tx.query("select pg_backend_pid()").first?[0].int
    }

    @Test("one whose body has ended takes nothing more, and does nothing to the next", arguments: [false, true])
    func over(_ isRolledBack: Bool) async throws {
        struct Stop: Error {
            var tx: JournalTransaction
        }
        try await withOneConnection { journal in
            let stream = try journal.stream("s")
            let connection = try await journal.transaction { tx in try await pid(tx) }
            let old: JournalTransaction
            do {
                old = try await journal.transaction { tx in
                    if isRolledBack { throw Stop(tx: tx) }
                    return tx
                }
            } catch let stop as Stop {
                old = stop.tx
            }
            try await journal.transaction { tx async throws in
                #expect(try await pid(tx) == connection)
                await expectOver(old, stream)
                #expect(try await pid(tx) == connection)
            }
            await expectOver(old, stream)
            let isMissing = try await journal.transaction { tx in
                #expect(try await pid(tx) == connection)
                return try await tx.query("select to_regclass('leaked')").first?[0].isNull
            }
            #expect(isMissing == true)
            #expect(try await stream.nextPosition() == 0)
        }
    }

    @Test("roles, settings, locks, cursors, temporary tables and channels end with it", arguments: [false, true])
    func traces(_ isRolledBack: Bool) async throws {
        struct Stop: Error {}
        let look = """
            select pg_backend_pid(), current_user, session_user, current_setting('search_path'),
                current_setting('statement_timeout'), current_setting('default_transaction_isolation'),
                (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
                (select count(*) from pg_cursors), (select count(*) from pg_listening_channels()),
                to_regclass('pg_temp.leaked')
            """
        try await withOneConnection { journal in
            func seen() async throws -> [SQLValue] {
                try await journal.transaction { tx in
                    let row = try await tx.query(look).first
                    return (0..<(row?.columnCount ?? 0)).compactMap { row?[$0] }
                }
            }
            let before = try await seen()
            #expect(before.count == 10)
            do {
                try await journal.transaction { tx in
                    try await tx.query("create temp table leaked (n int)")
                    try await tx.query("declare leaked cursor with hold for select 1")
                    try await tx.query("listen leaked")
                    try await tx.query("select pg_advisory_lock(1), pg_advisory_lock_shared(2)")
                    try await tx.query("set search_path = pg_catalog")
                    try await tx.query("select set_config('statement_timeout', '7s', false)")
                    try await tx.query("set session characteristics as transaction isolation level serializable")
                    if TestServer.isPrivate {
                        try await tx.query("set session authorization pg_monitor")
                        try await tx.query("set role pg_read_all_settings")
                    }
                    if isRolledBack { throw Stop() }
                }
            } catch is Stop {}
            #expect(try await seen() == before)
        }
    }

    @Test(
        "where a session cannot be reset the next transaction has another",
        .enabled(if: TestServer.isPrivate, "takes a right from all")
    )
    func refusedReset() async throws {
        try await withPrivatePostgres(.init(tcp: true)) { server in
            try await Migrator(.quiet(server.databaseURL)).migrate()
            try await server.psql("revoke execute on function pg_advisory_unlock_all() from public")
            try await server.psql("create role app login superuser password 'app'")
            try await server.psql("grant all on schema durable_streams to app")
            try await server.psql("alter role app nosuperuser")
            try await server.psql("grant select on all tables in schema durable_streams to app")
            let url = server.databaseURL(database: "postgres", user: "app", password: "app", tcp: true)
            try await withJournal(.with(url) { $0.transactionConnections = 1 }) { journal in
                for _ in 0..<50 {
                    let one = try await journal.transaction { tx in try await tx.query("select 1").first?[0].int }
                    #expect(one == 1)
                }
            }
        }
    }

    @Test(
        "a role that the server gives at log-in is the next one's too",
        .enabled(if: TestServer.isPrivate, "creates roles")
    )
    func givenRole() async throws {
        try await withPrivatePostgres(.init(tcp: true)) { server in
            try await Migrator(.quiet(server.databaseURL)).migrate()
            try await server.psql("create role owner superuser")
            try await server.psql("create role app login in role owner password 'app'")
            try await server.psql("alter role app set role owner")
            let url = server.databaseURL(database: "postgres", user: "app", password: "app", tcp: true)
            try await withJournal(.with(url) { $0.transactionConnections = 1 }) { journal in
                func look(_ tx: JournalTransaction) async throws -> [SQLValue] {
                    let row = try await tx.query("select current_user, pg_backend_pid()").first
                    return [row?[0], row?[1]].compactMap(\.self)
                }
                let first = try await journal.transaction { tx in
                    let first = try await look(tx)
                    try await tx.query("set role none")
                    return first
                }
                #expect(first.first?.text == "owner")
                let second = try await journal.transaction { tx in try await look(tx) }
                #expect(second == first)
            }
        }
    }

    @Test("the commit waits for what the configuration says, whatever the body set")
    func durability() async throws {
        try await withOneConnection { journal in
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await sql.run("create table noted (setting text)")
                // Deferred: it runs in the commit.
                try await sql.run(
                    """
                    create function note() returns trigger language plpgsql as $$
                    begin
                        insert into public.noted values (current_setting('synchronous_commit'));
                        return null;
                    end $$
                    """
                )
                try await sql.run(
                    """
                    create constraint trigger note after insert on durable_streams.events
                    deferrable initially deferred for each row execute function note()
                    """
                )
                let stream = try journal.stream("s")
                try await journal.transaction { tx in
                    try await tx.append(Self.event, to: stream)
                    try await tx.query("select set_config('synchronous_commit', 'off', true)")
                }
                try await journal.transaction { tx in
                    try await tx.append(Self.event, to: stream)
                    try await tx.query("set synchronous_commit = off")
                }
                #expect(try await sql.run("select setting from noted") == [["on"], ["on"]])
            }
        }
    }

    @Test("a stream of another journal is refused")
    func otherJournal() async throws {
        try await withTestJournal { other in
            try await withOneConnection { journal in
                let foreign = try other.stream("s")
                let own = try journal.stream("s")
                for events in [[Self.event], []] {
                    let error = await thrown {
                        try await journal.transaction { tx in
                            try await tx.append(Self.event, to: own)
                            try await tx.append(contentsOf: events, to: foreign)
                        }
                    }
                    #expect(error?.code == .invalidArgument)
                    #expect(error?.outcome == .notWritten)
                }
                #expect(try await own.nextPosition() == 0)
                #expect(try await foreign.nextPosition() == 0)
            }
        }
    }

    @Test("appending no events says where the stream is, as the transaction sees it")
    func nothing() async throws {
        try await withOneConnection { journal in
            let stream = try journal.stream("s")
            let error = await thrown {
                try await journal.transaction { tx in
                    #expect(try await tx.append(contentsOf: [], to: stream) == 0..<0)
                    try await tx.append(Self.event, to: stream)
                    #expect(try await tx.append(contentsOf: [], to: stream, expecting: 1) == 1..<1)
                    try await tx.append(contentsOf: [], to: stream, expecting: 4)
                }
            }
            #expect(error?.code == .conflict)
            #expect(error?.actualPosition == 1)
        }
    }

    @Test("one that could not begin says that nothing was written")
    func notBegun() async throws {
        try await withPrivatePostgres { server in
            let configuration = JournalConfiguration.with(server.databaseURL) { $0.appendDeadline = .milliseconds(300) }
            try await withJournal(configuration, migrate: true) { journal in
                await server.stop(mode: .immediate)
                let error = await thrown { try await journal.transaction { _ in } }
                #expect(error?.code == .unreachable)
                #expect(error?.outcome == .notWritten)
            }
        }
    }
}
