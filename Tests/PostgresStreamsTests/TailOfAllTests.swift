import Testing
import TisynStreams

@testable import PostgresStreams

@Suite("Tailing every stream", .serialized, .timeLimit(.minutes(10)))
struct TailOfAllTests {
    /// The events of a tail until there are so many: ids by stream.
    private func ids(_ tail: TailOfAll, count: Int) async throws -> [String: [String]] {
        var ids: [String: [String]] = [:]
        var rest = count
        for try await event in tail {
            #expect(ids[event.stream.text, default: []].count == event.position || count < 0)
            ids[event.stream.text, default: []].append(event.event.coroutineID.encoded)
            rest -= 1
            if rest == 0 { break }
        }
        return ids
    }

    private func append(_ range: Range<Int>, _ stream: PostgresStream) async throws {
        for n in range { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
    }

    private func appendElsewhere(_ range: Range<Int>, _ stream: PostgresStream) async throws {
        try await stream.elsewhere { try await append(range, $0) }
    }

    @Test("it brings each stream's events in order: streams there are, and streams created by others meanwhile")
    func oldAndNew() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { writing in
                try await withJournal(.with(url) { $0.listening.checkInterval = .seconds(3600) }) { tailing in
                    for n in 0..<5 { try await append(0..<3, try writing.stream("old \(n)")) }
                    async let seen = ids(tailing.tailAll(), count: 5 * 6 + 40 * 2)
                    await tailing.untilState(.listening)
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for n in 0..<5 { group.addTask { try await append(3..<6, try writing.stream("old \(n)")) } }
                        for n in 0..<40 { group.addTask { try await append(0..<2, try writing.stream("new \(n)")) } }
                        try await group.waitForAll()
                    }
                    let found = try await seen
                    #expect(found.count == 45)
                    for (name, ids) in found {
                        #expect(ids == (0..<(name.hasPrefix("old") ? 6 : 2)).map(String.init), "\(name)")
                    }
                }
            }
        }
    }

    @Test("it brings a stream that is created while somebody tails it already, without waiting for the next look")
    func tailedAlready() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { writing in
                try await withJournal(.with(url) { $0.listening.checkInterval = .seconds(3600) }) { tailing in
                    try await append(0..<1, try writing.stream("old"))
                    var all = tailing.tailAll().makeAsyncIterator()
                    #expect(try await all.next()?.stream.text == "old")
                    await tailing.untilState(.listening)
                    // It has its place from before the stream is there.
                    let one = TailSubscription(hub: tailing.tails, stream: try StreamName("new"), cursor: 0)
                    try await append(0..<2, try writing.stream("new"))
                    #expect(try await all.next()?.stream.text == "new")
                    #expect(try await one.next().rows.first?.position == 0)
                }
            }
        }
    }

    @Test("with a prefix only those; from the end only what comes, but all of a stream that is created later")
    func prefixAndEnd() async throws {
        try await withTestJournal { journal in
            try await appendElsewhere(0..<4, try journal.stream("a/1"))
            try await appendElsewhere(0..<4, try journal.stream("b/1"))
            async let seen = ids(after: journal.tailAll(prefix: "a/", from: .end), count: 5)
            await journal.untilState(.listening)
            // The tail has asked for the ends when it has asked for anything at all.
            try await appendElsewhere(0..<2, try journal.stream("b/2"))
            try await appendElsewhere(4..<6, try journal.stream("b/1"))
            try await appendElsewhere(4..<6, try journal.stream("a/1"))
            try await appendElsewhere(0..<3, try journal.stream("a/2"))
            let found = try await seen
            #expect(found == ["a/1": ["4", "5"], "a/2": ["0", "1", "2"]])
        }
    }

    private func ids(after tail: TailOfAll, count: Int) async throws -> [String: [String]] {
        var ids: [String: [String]] = [:]
        var rest = count
        for try await event in tail {
            ids[event.stream.text, default: []].append(event.event.coroutineID.encoded)
            rest -= 1
            if rest == 0 { break }
        }
        return ids
    }

    @Test("a stream whose creation was committed after that of a later one is found")
    func lateCommit() async throws {
        try await withTestJournal(.with { $0.listening.checkInterval = .milliseconds(50) }) { journal in
            let url = journal.configuration.databaseURL
            async let seen = ids(journal.tailAll(), count: 3)
            await journal.untilState(.listening)
            let slow = try await SQLSession(url)
            let event = #"array['{"type":"close","coroutineId":"slow","result":{"status":"ok"}}']::json[]"#
            try await slow.run("begin")
            try await slow.run("select * from durable_streams.append('slow', \(event))")
            // Long enough for any number of looks at what has a higher id.
            try await appendElsewhere(0..<1, try journal.stream("fast 1"))
            try await withSQL(url) { sql in
                let scans = "select calls from pg_stat_user_functions union all select 0 limit 1"
                for _ in 0..<20 { try await sql.run("select pg_sleep(0.02), (\(scans))") }
            }
            try await appendElsewhere(0..<1, try journal.stream("fast 2"))
            try await slow.run("commit")
            #expect(try await seen == ["fast 1": ["0"], "fast 2": ["0"], "slow": ["slow"]])
        }
    }

    @Test("a stream is found whose transaction ends after a later one that had begun before it")
    func laterButEarlier() async throws {
        try await withTestJournal(.with { $0.listening.checkInterval = .milliseconds(100) }) { journal in
            let url = journal.configuration.databaseURL
            let event = #"{"type":"close","coroutineId":"root","result":{"status":"ok"}}"#
            try await withSQL(url) { late in
                try await withSQL(url) { other in
                    let (found, continuation) = AsyncStream.makeStream(of: String.self)
                    let tail = Task {
                        for try await event in journal.tailAll() { continuation.yield(event.stream.text) }
                    }
                    defer { tail.cancel() }
                    var names = found.makeAsyncIterator()
                    await journal.untilState(.listening)
                    try await other.run("begin")
                    try await other.run("select pg_current_xact_id()")
                    try await late.run("begin")
                    try await late.run("select * from durable_streams.append('late', array['\(event)']::json[])")
                    // The higher id is there first; no transaction has ended that began after the one with the lower.
                    try await other.run("select * from durable_streams.claim('marker')")
                    try await other.run("commit")
                    // A few scans.
                    for n in 0..<3 {
                        try await journal.stream("s\(n)").append(.close("root", .ok(nil)))
                        #expect(await names.next() == "s\(n)")
                        try await Task.sleep(for: .milliseconds(300))
                    }
                    try await late.run("commit")
                    #expect(await names.next() == "late")
                }
            }
        }
    }

    @Test(
        "it ends when the server refuses to tell which streams there are",
        .enabled(if: TestServer.isPrivate, "creates a role")
    )
    func refused() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                let database = try await sql.value("select current_database()")
                let role = "no_streams_" + database.suffix(8)
                try await sql.run("create role \(role) login")
                try await sql.run("grant usage on schema durable_streams to \(role)")
                try await sql.run("grant select on durable_streams.migrations, durable_streams.events to \(role)")
                try await withJournal(.quiet(server.databaseURL(database: database, user: role))) { journal in
                    let error = await thrown { for try await _ in journal.tailAll() {} }
                    #expect(error?.code == .refused)
                    #expect(error?.sqlState == "42501")
                }
            }
        }
    }

    @Test(
        "where the question which streams there are is lost, or not answered in time, it is asked again",
        arguments: [true, false]
    )
    func unanswered(isLost: Bool) async throws {
        let waiting = """
            from pg_stat_activity where datname = current_database() and application_name = 'durable-streams'
                and wait_event_type = 'Lock'
            """
        try await withTestDatabase { url in
            let change = { (configuration: inout JournalConfiguration) in
                configuration.listening.checkInterval = .milliseconds(100)
                if !isLost { configuration.readDeadline = .seconds(1) }
            }
            try await withJournal(.quiet(url)) { writing in
                try await withJournal(.with(url, change)) { tailing in
                    try await append(0..<1, writing.stream("old"))
                    var all = tailing.tailAll().makeAsyncIterator()
                    #expect(try await all.next()?.stream.text == "old")
                    await tailing.untilState(.listening)
                    try await withSQL(url) { holder in
                        try await holder.run("begin; lock table durable_streams.streams in access exclusive mode")
                        try await withSQL(url) { sql in
                            try await until { try await sql.integer("select count(*) \(waiting)") > 0 }
                            if isLost { try await sql.run("select pg_terminate_backend(pid, 60000) \(waiting)") }
                        }
                        if !isLost {
                            // It is asked behind that, over the same connection.
                            let error = await thrown { try await tailing.stream("old").nextPosition() }
                            #expect(error?.code == .unreachable)
                        }
                        try await holder.run("commit")
                    }
                    try await append(0..<1, writing.stream("new"))
                    #expect(try await all.next()?.stream.text == "new")
                }
            }
        }
    }

    @Test("it goes on over lost connections")
    func lostConnections() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { writing in
                try await withJournal(.quiet(url)) { tailing in
                    async let seen = ids(tailing.tailAll(), count: 60)
                    await tailing.untilState(.listening)
                    try await withSQL(url) { killer in
                        for n in 0..<20 {
                            try await append(0..<3, try writing.stream("s\(n)"))
                            try await killer.run(
                                """
                                select pg_terminate_backend(pid) from pg_stat_activity
                                where datname = current_database() and application_name = 'durable-streams'
                                """
                            )
                        }
                    }
                    let found = try await seen
                    #expect(found.count == 20)
                    #expect(found.values.allSatisfy { $0 == ["0", "1", "2"] })
                }
            }
        }
    }
}
