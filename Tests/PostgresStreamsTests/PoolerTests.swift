import PostgresStreams
import Testing
import TisynStreams

/// With PgBouncer between journal and server; in transaction mode where nothing else is said.
@Suite(
    "Behind a pooler",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine"),
    .enabled(if: Pooler.program != nil, "there is no pgbouncer in PATH or /usr/sbin")
)
struct PoolerTests {
    @Test("a journal appends, reads, claims and replays through it, and knows that it is there")
    func working() async throws {
        try await withPooler { pooled, _ in
            try await withJournal(.quiet(pooled)) { journal in
                #expect(journal.server.isBehindPooler)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for writer in 0..<8 {
                        group.addTask {
                            let stream = try journal.stream("s\(writer % 4)")
                            for n in 0..<20 {
                                try await stream.append(.close(CoroutineID("\(writer).\(n)"), .ok(nil)))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let stream = try journal.stream("s0")
                let ids = try await stream.readAll().map(\.coroutineID)
                #expect(ids.count == 40)
                #expect(Set(ids).count == 40)
                #expect(try await stream.replayIndex().coroutineIDs().count == 40)
                let claim = try await stream.claim()
                #expect(claim.position == 40)
                #expect(try await claim.stream.append(.close("root", .ok(nil))) == 40)
                let error = await thrown { try await stream.append(.close("late", .ok(nil))) }
                #expect(error?.code == .fenced)
            }
        }
    }

    @Test("nothing is asked over a connection before what was asked is answered: some poolers lose it, or its answer")
    func oneAtATime() async throws {
        try await withSeenPooler { proxy, journal in
            let names = (0..<6).map { "s\($0)" }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for name in names {
                    let stream = try journal.stream(name)
                    group.addTask {
                        var count = 0
                        for try await _ in stream.tail(from: .start) {
                            count += 1
                            if count == 30 { return }
                        }
                    }
                    group.addTask {
                        for n in 0..<30 { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
                    }
                }
                try await group.waitForAll()
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for name in names {
                    group.addTask {
                        let claim = try await journal.stream(name).claim()
                        #expect(try await claim.stream.replayIndex().coroutineIDs().count == 30)
                        try await journal.transaction { tx in
                            try await tx.append(.close("root", .ok(nil)), to: claim.stream)
                        }
                        #expect(try await claim.stream.readAll().count == 31)
                    }
                }
                try await group.waitForAll()
            }
            #expect(proxy.requestCount() > 100)
            #expect(proxy.mostUnanswered == 1)
        }
    }

    @Test("where it is far away appends go over several connections at once, each event once")
    func farAway() async throws {
        try await withSeenPooler(isFar: 100) { proxy, journal in
            let most = journal.configuration.writerConnections
            func used() -> Int { proxy.connectionCount { $0.contains("append_") } }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for name in 0..<12 {
                    let stream = try journal.stream("s\(name)")
                    group.addTask {
                        var count = 0
                        // When another connection is there to be used depends on how soon it is made.
                        while count < 12 || used() < most {
                            let position = try await stream.append(.close(CoroutineID("\(count)"), .ok(nil)))
                            #expect(position == count)
                            count += 1
                        }
                        let ids = try await stream.readAll().map(\.coroutineID)
                        #expect(ids == (0..<count).map { CoroutineID("\($0)") })
                    }
                }
                try await group.waitForAll()
            }
            #expect(used() == most)
            #expect(proxy.mostUnanswered == 1)
        }
    }

    @Test("a stream of two journals has each event once, also where one goes behind what the other has appended")
    func severalWriters() async throws {
        try await withPooler { pooled, _ in
            try await withJournal(.quiet(pooled)) { one in
                try await withJournal(.quiet(pooled)) { other in
                    let streams = try [one.stream("s"), other.stream("s")]
                    var ids: [CoroutineID] = []
                    // Three in a row: the second and third go behind what this journal appended itself.
                    for n in 0..<30 {
                        ids.append(CoroutineID("\(n)"))
                        #expect(try await streams[n / 3 % 2].append(.close(ids[n], .ok(nil))) == n)
                    }
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for stream in streams {
                            group.addTask {
                                for _ in 0..<30 { try await stream.append(.close("together", .ok(nil))) }
                            }
                        }
                        try await group.waitForAll()
                    }
                    ids += Array(repeating: "together", count: 60)
                    #expect(try await streams[0].readAll().map(\.coroutineID) == ids)
                }
            }
        }
    }

    @Test("migrating through it leaves no setting to the pool's other clients")
    func migrating() async throws {
        try await withPooler { pooled, _ in
            try await withJournal(.quiet(pooled)) { journal in
                func path() async throws -> String? {
                    try await journal.transaction { tx in try await tx.query("show search_path").first?[0].text }
                }
                let before = try await path()
                try await Migrator(.with(pooled) { $0.schema = "other" }).migrate()
                #expect(try await path() == before)
            }
        }
    }

    @Test("a transaction through it leaves the pool's session as it is: it is not ours to reset")
    func transactions() async throws {
        try await withPooler { pooled, _ in
            try await withJournal(.quiet(pooled)) { journal in
                func ask(_ sql: String) async throws -> SQLRow? {
                    try await journal.transaction { tx in try await tx.query(sql).first }
                }
                let first = try await ask("select pg_backend_pid(), set_config('planted.mark', 'here', false)")
                // The same session as before: the pool may have another too.
                var next: SQLRow?
                try await until {
                    next = try await ask("select pg_backend_pid(), current_setting('planted.mark', true)")
                    return next?[0] == first?[0]
                }
                #expect(next?[1].text == "here")
            }
        }
    }

    @Test("a tail through it polls, and says why")
    func polling() async throws {
        try await withPooler { pooled, _ in
            try await withJournal(.quiet(pooled)) { journal in
                let stream = try journal.stream("s")
                async let seen = stream.tail(untilClose: true).reduce(into: 0) { count, _ in count += 1 }
                for await state in journal.listeningStates() where state == .polling(.pooler) { break }
                try await stream.elsewhere { stream in
                    for n in 0..<5 { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
                    try await stream.append(.close("root", .ok(nil)))
                }
                #expect(try await seen == 6)
            }
        }
    }

    @Test("in transaction mode a tail asks for notifications, hears none, and polls")
    func transactionMode() async throws {
        try await withPooler { pooled, _ in
            var configuration = JournalConfiguration.quiet(pooled)
            configuration.listening.probeTimeout = .milliseconds(300)
            try await withJournal(configuration) { journal in
                let stream = try journal.stream("s")
                async let seen = stream.tail(untilClose: true).reduce(into: 0) { count, _ in count += 1 }
                for await state in journal.listeningStates() where state == .polling(.pooler) { break }
                try await stream.elsewhere { try await $0.append(.close("root", .ok(nil))) }
                #expect(try await seen == 1)
                #expect(journal.listeningState != .listening)
            }
        }
    }

    @Test("in session mode notifications come through: a tail proves it, and listens")
    func sessionMode() async throws {
        try await withPooler(.session) { pooled, direct in
            var configuration = JournalConfiguration.quiet(pooled)
            configuration.listening.checkInterval = .seconds(3600)
            configuration.listening.probeInterval = .milliseconds(200)
            try await TailedStream.with(configuration) { tailed in
                #expect(tailed.journal.server.isBehindPooler)
                await tailed.journal.untilState(.listening)
                let count = try await expectNext(of: tailed, from: 0)
                // All connections die, its own too: it proves itself anew.
                var states = tailed.journal.listeningStates().makeAsyncIterator()
                try await withSQL(direct) { sql in
                    try await sql.run(
                        """
                        select pg_terminate_backend(pid) from pg_stat_activity
                        where datname = current_database() and pid <> pg_backend_pid()
                        """
                    )
                }
                while let state = await states.next() { if case .reconnecting = state { break } }
                while let state = await states.next(), state != .listening {}
                _ = try await expectNext(of: tailed, from: count)
            }
        }
    }

    /// Expects what is there from `position` on, and the next five events that another journal appends, which goes on appending
    /// until they are delivered: where the notification of one is given up, as on a machine that stands still, the next tells.
    ///
    /// - Returns: how many events were delivered.
    private func expectNext(of tailed: TailedStream, from position: Int) async throws -> Int {
        let end = try await tailed.stream.nextPosition() + 5
        try await tailed.stream.elsewhere { stream in
            let writer = Task { while !Task.isCancelled { _ = try await stream.append(.close("0", .ok(nil))) } }
            defer { writer.cancel() }
            try await tailed.expect(position..<end)
        }
        return end
    }

    @Test("a tail goes on behind a large event, which ends the page in which it is compared")
    func largeEvent() async throws {
        try await withPooler { pooled, _ in
            try await withJournal(.quiet(pooled)) { journal in
                let stream = try journal.stream("s")
                async let seen = stream.tail(untilClose: true).reduce(into: 0) { count, _ in count += 1 }
                let large = try JSONText("\"\(String(repeating: "x", count: 40_000))\"")
                try await stream.elsewhere { stream in
                    for n in 0..<3 { try await stream.append(.close(CoroutineID("\(n)"), .ok(large))) }
                    try await stream.append(.close("root", .ok(large)))
                }
                #expect(try await seen == 4)
            }
        }
    }

    @Test("a pooler that is full is waited for")
    func full() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            let database = try await withSQL(url) { try await $0.value("select current_database()") }
            let pooler = try await Pooler(to: server, database: database, mode: .transaction, maximumClients: 1)
            defer { pooler.stop() }
            let first = try await Journal.open(.quiet(pooler.url))
            let refused = await thrown {
                try await Journal.open(.with(pooler.url) { $0.openTimeout = .milliseconds(200) })
            }
            #expect(refused?.code == .unreachable)
            async let second = Journal.open(.with(pooler.url) { $0.openTimeout = .seconds(120) })
            await first.close()
            #expect(try await second.server.isBehindPooler)
            await (try second).close()
        }
    }

    @Test("a pooler that goes over to another log, and keeps our connection, ends the tail: it is not what was read")
    func goesOver() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { old in
            try await withTestDatabase { new in
                try await withJournal(.quiet(new)) { other in
                    let stream = try other.stream("s")
                    for n in 0..<8 { try await stream.append(.close(CoroutineID("other \(n)"), .ok(nil))) }
                }
                let name = "select current_database()"
                let database = try await withSQL(old) { try await $0.value(name) }
                let other = try await withSQL(new) { try await $0.value(name) }
                let pooler = try await Pooler(to: server, database: database, mode: .transaction)
                defer { pooler.stop() }
                try await TailedStream.with(.quiet(pooler.url)) { tailed in
                    try await tailed.append(0..<5)
                    try await tailed.expect(0..<5)
                    try pooler.goOver(to: other)
                    let error = await thrown { while try await tailed.next() != nil {} }
                    #expect(error?.code == .logReplaced)
                    #expect(error?.expectedPosition == 4)
                }
            }
        }
    }

    @Test("with a way round it for the listener the tail listens")
    func listeningDirectly() async throws {
        try await withPooler { pooled, direct in
            var configuration = JournalConfiguration.quiet(pooled)
            configuration.listenURL = direct
            configuration.listening.checkInterval = .seconds(3600)
            try await TailedStream.with(configuration) { tailed in
                await tailed.journal.untilState(.listening)
                _ = try await expectNext(of: tailed, from: 0)
            }
        }
    }

    @Test("the durability asked for counts through it, whatever its connections have as default")
    func durability() async throws {
        try await withPooler { pooled, direct in
            try await withSQL(direct) { sql in
                let database = try await sql.value("select current_database()")
                try await sql.run("alter database \"\(database)\" set synchronous_commit = off")
                // Tells what the inserting transaction has.
                try await sql.run(
                    """
                    create function durable_streams.note() returns trigger language plpgsql as $$
                    begin
                        insert into public.noted values (current_setting('synchronous_commit'));
                        return null;
                    end $$
                    """
                )
                try await sql.run("create table public.noted (setting text)")
                try await sql.run(
                    """
                    create trigger note after insert on durable_streams.events
                    for each statement execute function durable_streams.note()
                    """
                )
                try await withJournal(.quiet(pooled)) { journal in
                    let stream = try journal.stream("s")
                    try await stream.append(.close("a", .ok(nil)))
                    // Behind its predecessor: by append_next.
                    try await stream.append(.close("b", .ok(nil)))
                    try await stream.append(contentsOf: [.close("c", .ok(nil)), .close("d", .ok(nil))])
                }
                #expect(try await sql.run("select distinct setting from public.noted") == [["on"]])
            }
        }
    }
}
