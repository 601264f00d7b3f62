import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// What ends, stops or deafens the connections of a tail: it goes on where it was.
@Suite("Tails in trouble", .serialized, .timeLimit(.minutes(10)))
struct TailFaultTests {
    private static let victims = """
        from pg_stat_activity where datname = current_database() and application_name = 'durable-streams'
        """

    /// Fast, so that nothing is waited for longer than needed.
    private func eager(_ url: String) -> JournalConfiguration {
        var configuration = JournalConfiguration.quiet(url)
        configuration.listening.probeInterval = .milliseconds(200)
        configuration.listening.probeTimeout = .seconds(2)
        configuration.listening.pollInterval = .milliseconds(20)
        configuration.readDeadline = .seconds(3)
        return configuration
    }

    @Test("backends terminated while it starts, listens, polls, reads and reconnects: it goes on where it was")
    func everyState() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { killer in
                try await withJournal(.quiet(url)) { writing in
                    try await TailedStream.with(eager(url)) { tailed in
                        var count = 0
                        func more() async throws {
                            try await TailedStream.append(count..<(count + 2), by: writing)
                            try await tailed.expect(count..<(count + 2))
                            count += 2
                        }
                        // While it starts, or shortly after.
                        try await killer.run("select pg_terminate_backend(pid) \(Self.victims)")
                        try await more()
                        await tailed.journal.untilState(.listening)
                        try await killer.run("select pg_terminate_backend(pid) \(Self.victims)")
                        try await more()
                        // While it reconnects, again and again.
                        for _ in 0..<5 { try await killer.run("select pg_terminate_backend(pid) \(Self.victims)") }
                        try await more()
                        await tailed.journal.untilState(.listening)
                        // While it reads: the table is locked, and the query waits.
                        try await withSQL(url) { holder in
                            try await holder.run("begin; lock table durable_streams.events in access exclusive mode")
                            try await killer.run(
                                "select pg_notify('durable_streams', left(encode(sha256('s'), 'hex'), 16))"
                            )
                            try await until {
                                try await killer.integer(
                                    "select count(*) \(Self.victims) and wait_event_type = 'Lock'"
                                ) > 0
                            }
                            try await killer.run(
                                "select pg_terminate_backend(pid) \(Self.victims) and wait_event_type = 'Lock'"
                            )
                            try await holder.run("commit")
                        }
                        try await more()
                        await tailed.journal.untilState(.listening)
                        try await more()
                    }
                }
            }
        }
    }

    @Test(
        "a server that is restarted, however hard: the tail says since when it reconnects, and goes on where it was",
        .enabled(if: TestServer.isPrivate, "stops the server")
    )
    func restarted() async throws {
        try await withPrivatePostgres { server in
            let url = server.databaseURL
            try await Migrator(.quiet(url)).migrate()
            try await TailedStream.with(eager(url)) { tailed in
                var count = 0
                for stop in [PrivatePostgres.StopMode.fast, .immediate, nil] {
                    await tailed.journal.untilState(.listening)
                    try await tailed.append(count..<(count + 1))
                    try await tailed.expect(count..<(count + 1))
                    if let stop { await server.stop(mode: stop) } else { await server.kill() }
                    await tailed.journal.untilState { if case .reconnecting = $0 { true } else { false } }
                    try await server.start()
                    try await tailed.append((count + 1)..<(count + 2))
                    try await tailed.expect((count + 1)..<(count + 2))
                    count += 2
                }
            }
        }
    }

    /// The URL of the same database through a proxy.
    private func through(_ proxy: WireProxy, _ url: String) async throws -> String {
        let server = try await TestServer.shared.server()
        let database = try await withSQL(url) { try await $0.value("select current_database()") }
        return "postgresql://postgres:\(server.password)@127.0.0.1:\(proxy.port)/\(database)"
            + "?sslmode=disable&gssencmode=disable&connect_timeout=2"
    }

    @Test(
        "all bytes of a tailing journal are swallowed at once, and nobody is told: it is noticed, said, and got over",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func allSwallowed() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            let proxy = try WireProxy(to: server.port)
            defer { proxy.close() }
            var configuration = eager(try await through(proxy, url))
            configuration.listening.probeTimeout = .milliseconds(500)
            configuration.listening.checkInterval = .seconds(1)
            try await withJournal(.quiet(url)) { writing in
                try await TailedStream.with(configuration) { tailed in
                    for round in 0..<2 {
                        await tailed.journal.untilState(.listening)
                        var states = tailed.journal.listeningStates().makeAsyncIterator()
                        proxy.swallow { _ in true }
                        try await TailedStream.append((2 * round)..<(2 * round + 2), by: writing)
                        try await tailed.expect((2 * round)..<(2 * round + 2))
                        var isReported = false
                        while !isReported, let state = await states.next() {
                            switch state {
                            case .polling(.heartbeatMissed), .reconnecting(_, .heartbeatMissed): isReported = true
                            default: break
                            }
                        }
                        #expect(isReported)
                    }
                }
            }
        }
    }

    @Test(
        "a dead connection that reads keeps no tail waiting whose listener hears",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func deadReader() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            let proxy = try WireProxy(to: server.port)
            defer { proxy.close() }
            var configuration = eager(try await through(proxy, url))
            configuration.listening.probeTimeout = .milliseconds(500)
            configuration.listening.checkInterval = .seconds(3600)
            // As long it takes for that connection to be given up.
            configuration.readDeadline = .seconds(120)
            try await withJournal(.quiet(url)) { writing in
                try await TailedStream.with(configuration) { tailed in
                    await tailed.journal.untilState(.listening)
                    try await TailedStream.append(0..<1, by: writing)
                    try await tailed.expect(0..<1)
                    proxy.swallow { !$0.contains("listen ") }
                    await tailed.journal.untilState(.polling(.heartbeatMissed))
                    let begin = ContinuousClock.now
                    try await TailedStream.append(1..<4, by: writing)
                    try await tailed.expect(1..<4)
                    #expect(ContinuousClock.now - begin < .seconds(100))
                }
            }
        }
    }

    @Test(
        "on a link too slow for a page it asks for less until what it asks for comes in time",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func slowLink() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            let proxy = try WireProxy(to: server.port)
            defer { proxy.close() }
            var configuration = JournalConfiguration.quiet(try await through(proxy, url))
            configuration.readDeadline = .seconds(1)
            try await withJournal(.quiet(url)) { writing in
                let padding = try JSONText("\"" + String(repeating: "x", count: 20_000) + "\"")
                let events = (0..<120).map { DurableEvent.close(CoroutineID("\($0)"), .ok(padding)) }
                try await writing.stream("s").append(contentsOf: events)
                // All of them take 2.4 s.
                proxy.setRate(1_000_000)
                try await TailedStream.with(configuration) { try await $0.expect(0..<120) }
            }
        }
    }

    @Test(
        "what catches up does not go over the connection that listens, which would hear nothing meanwhile",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func bulk() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            let proxy = try WireProxy(to: server.port)
            defer { proxy.close() }
            try await withJournal(.quiet(url)) { writing in
                let big = try writing.stream("big")
                for batch in 0..<5 {
                    try await big.append(
                        contentsOf: (0..<1000).map { .close(CoroutineID("\(batch)-\($0)"), .ok(nil)) }
                    )
                }
                try await TailedStream.with(.quiet(try await through(proxy, url))) { tailed in
                    await tailed.journal.untilState(.listening)
                    var count = 0
                    for try await _ in try tailed.journal.stream("big").tail() {
                        count += 1
                        if count == 5000 { break }
                    }
                    #expect(proxy.answerByteCount { $0.contains("listen ") } < 100_000)
                    #expect(proxy.answerByteCount { _ in true } > 300_000)
                    // What comes one by one does.
                    let before = proxy.answerByteCount { $0.contains("listen ") }
                    for n in 0..<20 {
                        try await TailedStream.append(n..<(n + 1), by: writing)
                        try await tailed.expect(n..<(n + 1))
                    }
                    #expect(proxy.answerByteCount { $0.contains("listen ") } > before + 20 * 100)
                }
            }
        }
    }

    @Test(
        "begun while the server is away for longer than reads are tried, it waits, wherever it begins",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine"),
        arguments: [TailStart.start, .position(1), .end]
    )
    func begunWhileAway(start: TailStart) async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            let proxy = try WireProxy(to: server.port)
            defer { proxy.close() }
            let hasty = { (configuration: inout JournalConfiguration) in configuration.readDeadline = .milliseconds(100)
            }
            try await withJournal(.with(try await through(proxy, url), hasty)) { journal in
                proxy.refuse(true)
                proxy.endConnections()
                let tail = try journal.stream("s").tail(from: start, untilClose: true)
                let task = Task { try await tail.reduce(into: 0) { count, _ in count += 1 } }
                // Several times as long as a read is tried.
                try await Task.sleep(for: .milliseconds(500))
                proxy.refuse(false)
                // One that begins at the end asks where that is when it can.
                try await withJournal(.quiet(url)) { writing in
                    let stream = try writing.stream("s")
                    try await stream.append(.close("root.0", .cancelled))
                    try await stream.append(.close("root", .cancelled))
                }
                if start == .end { task.cancel() }
                let count = await task.result
                switch start {
                case .start: #expect(try count.get() == 2)
                case .position: #expect(try count.get() == 1)
                // Whether it was there before the close is not known here; it did not fail.
                case .end: if case .failure(let error as JournalError) = count { #expect(error.code == .cancelled) }
                }
            }
        }
    }

    @Test(
        "a role that may not log in for a while, longer than reads are tried, ends no tail",
        .enabled(if: TestServer.isPrivate, "creates a role")
    )
    func noLogIn() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                let database = try await sql.value("select current_database()")
                let role = "no_login_" + database.suffix(8)
                try await sql.run("create role \"\(role)\" superuser login")
                let configuration = JournalConfiguration.with(server.databaseURL(database: database, user: role)) {
                    $0.readDeadline = .milliseconds(100)
                }
                try await TailedStream.with(configuration) { tailed in
                    await tailed.journal.untilState(.listening)
                    try await sql.run("alter role \"\(role)\" nologin")
                    try await sql.run(
                        "select pg_terminate_backend(pid, 60000) from pg_stat_activity where usename = '\(role)'"
                    )
                    // One that has to read now, and one that has read.
                    let other = try tailed.journal.stream("s")
                    let next = Task { try await other.tail().first { _ in true }?.position }
                    // Two that have to ask something before they begin.
                    let position = Task {
                        try await other.tail(from: .position(1), untilClose: true).first { _ in true }?.position
                    }
                    let end = Task { try await other.tail(from: .end).first { _ in true }?.position }
                    try await Task.sleep(for: .seconds(1))
                    try await sql.run("alter role \"\(role)\" login")
                    try await withJournal(.quiet(url)) { try await TailedStream.append(0..<1, by: $0) }
                    try await tailed.expect(0..<1)
                    #expect(try await next.value == 0)
                    // Where the end is when one of them can ask is not known here.
                    let writer = Task {
                        try await withJournal(.quiet(url)) { writing in
                            for n in 1... { try await TailedStream.append(n..<(n + 1), by: writing) }
                        }
                    }
                    #expect(try await position.value == 1)
                    #expect(try await end.value != nil)
                    writer.cancel()
                    _ = await writer.result
                }
                try await sql.run(
                    "select pg_terminate_backend(pid, 60000) from pg_stat_activity where usename = '\(role)'"
                )
                try await sql.run("drop role \"\(role)\"")
            }
        }
    }

    @Test(
        "a role that may not notify cannot prove that it hears: it polls, and says why",
        .enabled(if: TestServer.isPrivate, "takes a right away as a superuser")
    )
    func noPermission() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                let database = try await sql.value("select current_database()")
                let role = "no_notify_" + database.suffix(8)
                try await sql.run("create role \(role) login")
                try await sql.run("grant usage on schema durable_streams to \(role)")
                try await sql.run("grant select on all tables in schema durable_streams to \(role)")
                try await sql.run("revoke execute on function pg_notify(text, text) from public")
                let configuration = eager(server.databaseURL(database: database, user: role))
                try await withJournal(.quiet(url)) { writing in
                    try await TailedStream.with(configuration) { tailed in
                        await tailed.journal.untilState(.polling(.noPermission))
                        try await TailedStream.append(0..<3, by: writing)
                        try await tailed.expect(0..<3)
                        try await sql.run("grant execute on function pg_notify(text, text) to public")
                        await tailed.journal.untilState(.listening)
                    }
                }
            }
        }
    }

    /// Waits until it listens. In idle mode it may be quiet again before it has heard its probe: a tail that begins, and has
    /// the first event of `s`, wakes it then.
    private func untilListening(_ journal: Journal) async throws {
        while journal.listeningState != .listening { _ = try await journal.stream("s").tail().first { _ in true } }
    }

    @Test("in idle mode a silent tail asks the server nothing; an event still wakes it")
    func quiet() async throws {
        try await withTestDatabase { url in
            var configuration = eager(url)
            configuration.listening.idleAfter = .milliseconds(500)
            try await withJournal(.quiet(url)) { writing in
                try await TailedStream.append(0..<1, by: writing)
                try await TailedStream.with(configuration) { tailed in
                    try await tailed.expect(0..<1)
                    try await untilListening(tailed.journal)
                    await tailed.journal.untilState(.polling(.quiet))
                    var count = 1
                    // It may be quiet again before it has heard its probe: the next event wakes it then.
                    repeat {
                        try await TailedStream.append(count..<(count + 2), by: writing)
                        try await tailed.expect(count..<(count + 2))
                        count += 2
                    } while tailed.journal.listeningState != .listening
                    await tailed.journal.untilState(.polling(.quiet))
                    // The server has gone to sleep, and so cut its connections: nothing wakes it but work.
                    try await withSQL(url) { sql in
                        try await sql.run("select pg_terminate_backend(pid) \(Self.victims)")
                        try await until { try await sql.integer("select count(*) \(Self.victims)") == 0 }
                    }
                    var states = tailed.journal.listeningStates().makeAsyncIterator()
                    #expect(await states.next() == .polling(.quiet))
                    let other = try tailed.journal.stream("t")
                    async let first = other.tail().first { _ in true }
                    // A tail that only waits has woken it.
                    _ = await states.next()
                    try await untilListening(tailed.journal)
                    try await TailedStream.append(count..<(count + 2), by: writing)
                    try await tailed.expect(count..<(count + 2))
                    try await writing.stream("t").append(.close("0", .ok(nil)))
                    #expect(try await first?.position == 0)
                }
            }
        }
    }
}
