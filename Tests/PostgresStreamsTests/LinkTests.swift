import Dispatch
import Synchronization
import Testing

@testable import PostgresStreams

@Suite("A link", .serialized, .timeLimit(.minutes(10)))
struct LinkTests {
    /// Its owner's loss of the first session came late, was taken for that of the second, and the second never used.
    @Test("makes no new connection while its owner is still being told of the loss of the last, and then makes it")
    func lossThenReady() async throws {
        try await withTestDatabase { url in
            let schema = try SchemaName("durable_streams")
            let (events, continuation) = AsyncStream.makeStream(of: String.self)
            let link = Mutex<Link?>(nil)
            let isReady = DispatchSemaphore(value: 0)
            let isLosing = Mutex(false)
            let made = Link(Link.Options(.quiet(url), schema)) { event in
                switch event {
                case .ready:
                    continuation.yield("ready")
                    if isLosing.withLock({ $0 }) { isReady.signal() }
                case .lost, .left:
                    isLosing.withLock { $0 = true }
                    // As another thread may that has something to send.
                    link.withLock { $0 }?.start()
                    // Long enough for a connection, if it were made.
                    let early = isReady.wait(timeout: .now() + .milliseconds(500)) == .success
                    isLosing.withLock { $0 = false }
                    continuation.yield(early ? "ready too early" : "lost")
                case .notification, .timer: break
                }
                return false
            }
            link.withLock { $0 = made }
            defer { made.close() }
            made.start()
            var seen: [String] = []
            for await event in events {
                seen.append(event)
                if seen == ["ready"] { made.reset() }
                if seen.count == 3 { break }
            }
            #expect(seen == ["ready", "lost", "ready"])
        }
    }

    /// Nothing is under way on a session that nobody was given, so that no owner's deadline would end it.
    @Test(
        "gives up a server that takes the connection and then says nothing, and is ready once one answers",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func silentServer() async throws {
        // A machine may be too slow for a server that does answer: then with more time.
        var timeout = Duration.milliseconds(300)
        while try await !isReadyOnceAnswered(after: timeout) { timeout *= 2 }
    }

    /// - Parameter timeout: how long it waits for an answer.
    /// - Returns: false where that was too short, again and again.
    private func isReadyOnceAnswered(after timeout: Duration) async throws -> Bool {
        let server = try await TestServer.shared.server()
        return try await withTestDatabase { url in
            let proxy = try WireProxy(to: server.port)
            defer { proxy.close() }
            proxy.mute(true)
            let database = try await withSQL(url) { try await $0.value("select current_database()") }
            let proxied =
                "postgresql://postgres:\(server.password)@127.0.0.1:\(proxy.port)/\(database)?sslmode=disable"
                + "&gssencmode=disable"
            var options = Link.Options(.quiet(proxied), try SchemaName("durable_streams"))
            options.session.connectTimeout = timeout
            let (events, continuation) = AsyncStream.makeStream(of: JournalError?.self)
            let link = Link(options) { event in
                switch event {
                case .ready: continuation.yield(nil)
                case .lost(let error), .left(let error):
                    continuation.yield(error)
                    // On a slow machine the first attempts may not even be taken in time.
                    if proxy.mutedCount > 0 { proxy.mute(false) }
                case .notification, .timer: break
                }
                return true
            }
            defer { link.close() }
            link.start()
            var losses: [JournalError] = []
            var isReady = false
            for await event in events {
                isReady = event == nil
                guard let event else { break }
                losses.append(event)
                if losses.count == 6 { break }
            }
            #expect(losses.allSatisfy { $0.code == .unreachable }, "\(losses)")
            guard isReady else { return false }
            #expect(proxy.mutedCount > 0)
            #expect(losses.contains { $0.message.contains("did not answer") }, "\(losses)")
            return true
        }
    }

    @Test("where each session ends as soon as it is there, the next one comes later and later")
    func cutAtOnce() async throws {
        try await withTestDatabase { url in
            let (events, continuation) = AsyncStream.makeStream(of: Void.self)
            let link = Link(Link.Options(.quiet(url), try SchemaName("durable_streams"))) { event in
                if case .ready(let session, _) = event {
                    continuation.yield()
                    session.close()
                }
                return true
            }
            defer { link.close() }
            link.start()
            var last = ContinuousClock.now
            var longest = Duration.zero
            var count = 0
            for await _ in events {
                (longest, last) = (max(longest, .now - last), .now)
                count += 1
                // Where the machine is slow, one may live for longer than it took to get.
                if longest >= .seconds(1) || count == 100 { break }
            }
            #expect(longest >= .seconds(1))
        }
    }

    @Test("one that is given back is no connection that did not answer, and the next is made at once")
    func givenBack() async throws {
        try await withTestDatabase { url in
            var options = Link.Options(.quiet(url), try SchemaName("durable_streams"))
            let log = Sayings()
            options.logger = log.logger
            let (events, continuation) = AsyncStream.makeStream(of: JournalError?.self)
            let link = Link(options) { event in
                switch event {
                case .ready: continuation.yield(nil)
                case .lost(let error), .left(let error): continuation.yield(error)
                case .notification, .timer: break
                }
                return false
            }
            defer { link.close() }
            var iterator = events.makeAsyncIterator()
            for end in [link.giveBack, link.reset, link.giveBack] {
                link.start()
                let ready = try #require(await iterator.next())
                #expect(ready?.code == nil)
                end()
                let lost = try #require(await iterator.next())
                #expect(lost?.code == .unreachable)
            }
            let losses = log.all.filter { $0.hasPrefix("no connection") }
            #expect(losses.count == 1)
            #expect(losses.first?.contains("did not answer; connecting anew") == true)
        }
    }

    @Test(
        "of an outage the first failure is news and the connection after it; first connections and repeats are not",
        .enabled(if: TestServer.isPrivate, "needs a superuser in another database")
    )
    func news() async throws {
        try await withTestDatabase { url in
            var options = Link.Options(.quiet(url), try SchemaName("durable_streams"))
            let log = Sayings()
            options.logger = log.logger
            let (events, continuation) = AsyncStream.makeStream(of: Bool.self)
            let link = Link(options) { event in
                switch event {
                case .ready: continuation.yield(true)
                case .lost: continuation.yield(false)
                case .notification, .timer, .left: break
                }
                return true
            }
            defer { link.close() }
            var iterator = events.makeAsyncIterator()
            link.start()
            #expect(await iterator.next() == true)
            // It cannot connect while this holds, and tries more than once.
            let database = try await withSQL(url) { try await $0.value("select current_database()") }
            try await withSQL(TestServer.shared.server().databaseURL) { sql in
                try await sql.run("alter database \(database) allow_connections false")
                try await sql.run(
                    """
                    select pg_terminate_backend(pid) from pg_stat_activity
                    where datname = '\(database)' and application_name = 'durable-streams'
                    """
                )
                for _ in 0..<3 { #expect(await iterator.next() == false) }
                try await sql.run("alter database \(database) allow_connections true")
            }
            while await iterator.next() == false {}
            let logged = log.logged.map { "\($0.level) \($0.message.prefix { $0 != "[" })" }
            #expect(logged.prefix(2) == ["debug connected ", "info no connection "])
            #expect(logged.dropFirst(2).dropLast().allSatisfy { $0 == "debug no connection " }, "\(logged)")
            #expect(logged.count >= 5)
            #expect(logged.last == "info connected again ")
        }
    }
}
