import Foundation
import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// Tails on a hot standby, and over a failover to one.
@Suite(
    "Standbys",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "starts and stops servers")
)
struct StandbyTests {
    private func withStandby(
        _ body: (_ primary: PrivatePostgres, _ standby: PrivatePostgres) async throws -> Void
    ) async throws {
        try await withPrivatePostgres { primary in
            try await Migrator(.quiet(primary.databaseURL)).migrate()
            try await withPrivatePostgres(.init(standbyOf: primary)) { standby in try await body(primary, standby) }
        }
    }

    /// Both, in the order given.
    private func url(_ servers: PrivatePostgres..., preferring sessions: String) -> String {
        let hosts = servers.map(\.folder).joined(separator: ",")
        let ports = servers.map { "\($0.port)" }.joined(separator: ",")
        return "host=\(hosts) port=\(ports) user=postgres dbname=postgres target_session_attrs=\(sessions)"
    }

    private func eager(_ url: String) -> JournalConfiguration {
        var configuration = JournalConfiguration.quiet(url)
        configuration.listening.probeInterval = .milliseconds(200)
        configuration.listening.pollInterval = .milliseconds(20)
        return configuration
    }

    /// Of the append that wrote this event of stream `s`, as if its answer had been lost.
    private func receipt(at position: Int, on server: PrivatePostgres) async throws -> AppendReceipt {
        let token = try await withSQL(server.databaseURL) { sql in
            try await sql.value("select token from durable_streams.events where position = \(position)")
        }
        let text = #"{"stream":"s","position":\#(position),"offset":0,"token":"\#(token)"}"#
        return try JSONDecoder().decode(AppendReceipt.self, from: Data(text.utf8))
    }

    @Test("on a standby alone a tail polls and says why, and listens once it is promoted")
    func alone() async throws {
        try await withStandby { primary, standby in
            try await withJournal(.quiet(primary.databaseURL)) { writing in
                try await TailedStream.with(eager(standby.databaseURL)) { tailed in
                    #expect(tailed.journal.server.isStandby)
                    await tailed.journal.untilState(.polling(.standby))
                    try await TailedStream.append(0..<5, by: writing)
                    try await tailed.expect(0..<5)
                    var all = tailed.journal.tailAll().makeAsyncIterator()
                    #expect(try await all.next()?.position == 0)
                    #expect(await thrown { try await tailed.stream.claim() }?.code == .unfit)
                    let lost = try await receipt(at: 4, on: standby)
                    #expect(try await tailed.journal.resolve(lost) == .written(at: 4))
                    await primary.stop()
                    try await withSQL(standby.databaseURL) { try await $0.run("select pg_promote()") }
                    await tailed.journal.untilState(.listening)
                    #expect(try await tailed.stream.claim().position == 5)
                }
            }
        }
    }

    @Test("a tail that prefers a standby for reading, and names the primary too, is told by the primary")
    func listeningOnThePrimary() async throws {
        try await withStandby { primary, standby in
            var configuration = eager(url(standby, primary, preferring: "prefer-standby"))
            configuration.listening.checkInterval = .seconds(3600)
            ConfigurationChange.patientProbes.apply(&configuration)
            try await TailedStream.with(configuration) { tailed in
                #expect(tailed.journal.server.isStandby)
                await tailed.journal.untilState(.listening)
                // Appends find the primary too.
                try await tailed.append(0..<5)
                try await tailed.expect(0..<5)
                // Those of the same journal too, though not from their answers: what reads there would miss them.
                try await TailedStream.append(5..<8, by: tailed.journal)
                try await tailed.expect(5..<8)
                #expect(tailed.journal.listeningState == .listening)
                try await withSQL(standby.databaseURL) { sql in
                    // An attempt that libpq passed over may linger.
                    let sessions = "select count(*) from pg_stat_activity where application_name = 'durable-streams'"
                    try await until { try await sql.integer(sessions) == 1 }
                }
            }
        }
    }

    @Test("of several hosts the one that takes writes is migrated, whatever is preferred for reading")
    func migratingThePrimary() async throws {
        try await withStandby { primary, standby in
            for (index, sessions) in ["any", "prefer-standby"].enumerated() {
                var configuration = JournalConfiguration.quiet(url(standby, primary, preferring: sessions))
                configuration.schema = "other_\(index)"
                let migrator = try Migrator(configuration)
                #expect(try await migrator.migrate() == Array(1...Migrator.knownVersion))
                #expect(try await migrator.pending() == [])
            }
        }
    }

    @Test("where there is nothing to migrate, to migrate a standby does nothing")
    func migrating() async throws {
        try await withStandby { _, standby in
            let applied = try await Migrator(.quiet(standby.databaseURL)).migrate()
            #expect(applied == [])
        }
    }

    @Test("a journal that prefers a standby for reading claims, replays and commits on the primary")
    func writingOnThePrimary() async throws {
        try await withStandby { primary, standby in
            let url = url(standby, primary, preferring: "prefer-standby")
            try await withJournal(.with(url) { $0.readerConnections = 4 }) { journal in
                #expect(journal.server.isStandby)
                let stream = try journal.stream("s")
                try await withSQL(standby.databaseURL) { try await $0.run("select pg_wal_replay_pause()") }
                for n in 0..<3 { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
                // The standby lags behind all of this.
                #expect(try await stream.readAll().isEmpty)
                let lost = try await receipt(at: 2, on: primary)
                #expect(try await journal.resolve(lost) == .written(at: 2))
                let claim = try await stream.claim()
                #expect(claim.position == 3)
                #expect(try await stream.append(contentsOf: [], expecting: 3) == 3..<3)
                // By whichever reader.
                for _ in 0..<20 {
                    #expect(try await claim.stream.nextPosition() == 3)
                    #expect(try await claim.stream.readAll().count == 3)
                }
                var read = 0
                for try await _ in claim.stream.read() { read += 1 }
                #expect(read == 3)
                let index = claim.stream.replayIndex()
                #expect(try await index.coroutineIDs() == ["0", "1", "2"])
                #expect(try await index.hasClose("2"))
                let position = try await journal.transaction { tx in
                    try await tx.append(.close("3", .ok(nil)), to: claim.stream)
                }
                #expect(position == 3)
                try await withSQL(standby.databaseURL) { try await $0.run("select pg_wal_replay_resume()") }
                try await caughtUp(standby, with: primary)
                #expect(try await stream.readAll().count == 4)
            }
        }
    }

    /// By the journal that tails, whose tail need not read what it appends, or by another.
    private func append(_ range: Range<Int>, by tailed: TailedStream, itself: Bool) async throws {
        if itself {
            try await TailedStream.append(range, by: tailed.journal)
        } else {
            try await tailed.append(range)
        }
    }

    @Test(
        "a failover that lost nothing: the tail goes on where it was, on the new primary",
        arguments: [false, true]
    )
    func failover(itself: Bool) async throws {
        try await withStandby { primary, standby in
            try await TailedStream.with(eager(url(primary, standby, preferring: "any"))) { tailed in
                await tailed.journal.untilState(.listening)
                try await append(0..<3, by: tailed, itself: itself)
                try await tailed.expect(0..<3)
                try await caughtUp(standby, with: primary)
                await primary.kill()
                try await withSQL(standby.databaseURL) { try await $0.run("select pg_promote()") }
                try await append(3..<6, by: tailed, itself: itself)
                try await tailed.expect(3..<6)
                await tailed.journal.untilState(.listening)
            }
        }
    }

    @Test(
        "a failover that lost the end of the log: the tail ends, and names what it had and what is there",
        arguments: [
            (false, false, 3), (true, false, 3), (false, true, 1), (true, true, 1), (false, false, 0), (true, false, 0),
            (false, true, 0),
        ]
    )
    func lostEnd(itself: Bool, isPromotedUnderReaders: Bool, others: Int) async throws {
        try await withStandby { primary, standby in
            try await TailedStream.with(eager(url(primary, standby, preferring: "any"))) { tailed in
                await tailed.journal.untilState(.listening)
                try await append(0..<3, by: tailed, itself: itself)
                try await tailed.expect(0..<3)
                try await caughtUp(standby, with: primary)
                try await withSQL(standby.databaseURL) { sql in
                    try await sql.run("alter system set primary_conninfo = ''")
                    try await sql.run("select pg_reload_conf()")
                    try await until { try await sql.integer("select count(*) from pg_stat_wal_receiver") == 0 }
                }
                try await append(3..<5, by: tailed, itself: itself)
                try await tailed.expect(3..<5)
                await primary.kill()
                if isPromotedUnderReaders {
                    try await withSQL(standby.databaseURL) { sql in
                        let readers = """
                            select count(*) from pg_stat_activity
                            where backend_type = 'client backend' and pid <> pg_backend_pid()
                            """
                        try await until { try await sql.integer(readers) > 0 }
                    }
                }
                try await withSQL(standby.databaseURL) { try await $0.run("select pg_promote()") }
                // Another writer goes on where the log now ends, and need not come as far as it did; or nobody does.
                try await withJournal(.quiet(standby.databaseURL)) { other in
                    let stream = try other.stream("s")
                    for n in 0..<others {
                        try await stream.append(.close(CoroutineID("other.\(n)"), .ok(nil)))
                    }
                }
                var delivered: [Int] = []
                let error = await thrown { while let next = try await tailed.next() { delivered.append(next) } }
                #expect(delivered.isEmpty)
                #expect(error?.code == .logReplaced)
                #expect(error?.expectedPosition == 4)
            }
        }
    }

    private func caughtUp(_ standby: PrivatePostgres, with primary: PrivatePostgres) async throws {
        let written = try await withSQL(primary.databaseURL) {
            try await $0.value("select pg_current_wal_insert_lsn()")
        }
        try await withSQL(standby.databaseURL) { sql in
            try await until {
                try await sql.value("select pg_last_wal_replay_lsn() >= '\(written)'::pg_lsn") == "t"
            }
        }
    }
}
