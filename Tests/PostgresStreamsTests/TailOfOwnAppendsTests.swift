import Foundation
import PrivatePostgres
import Testing
import TisynStreams

@testable import PostgresStreams

/// What a journal appends its own tails have from the answer: without a notification, and without a read.
@Suite("Tails of what the same journal appends", .serialized, .timeLimit(.minutes(10)))
struct TailOfOwnAppendsTests {
    /// Nothing tells of events, and nothing looks for them.
    private static var deaf: ConfigurationChange {
        .with {
            $0.listening.isEnabled = false
            $0.listening.pollInterval = .seconds(3600)
            $0.listening.checkInterval = .seconds(3600)
        }
    }

    /// A stream with an event, and a tail of it that has delivered that, from `position`, and hears.
    ///
    /// - Parameter writing: appends the event; by itself `journal` does.
    private func following(
        _ journal: Journal,
        by writing: Journal? = nil
    ) async throws -> (stream: PostgresStream, tail: TailSubscription, position: Int) {
        let stream = try journal.stream("s")
        let position = try await untilInTime {
            try await (writing ?? journal).stream("s").append(.close("0", .ok(nil)))
        }
        let tail = TailSubscription(hub: journal.tails, stream: stream.name, cursor: position)
        #expect(try await tail.next().rows.map(\.position) == [position])
        await journal.untilState(.listening)
        return (stream, tail, position)
    }

    @Test("all that it appends, in whatever way, is there at once, and is what a read gives")
    func everyWay() async throws {
        try await withTestJournal(Self.deaf) { journal in
            let stream = try journal.stream("s")
            async let seen = stream.tail(untilClose: true).reduce(into: [RecordedEvent]()) { $0.append($1) }
            for n in 0..<20 { try await stream.append(.close(CoroutineID("\(n)"), .ok(JSONText("{\"n\": \(n)}")))) }
            try await stream.append(contentsOf: (20..<30).map { .close(CoroutineID("\($0)"), .ok(nil)) })
            try await journal.transaction { tx in
                _ = try await tx.append(.close("in a transaction", .ok(nil)), to: stream)
            }
            let claim = try await stream.claim()
            for n in 0..<5 { try await claim.stream.append(.close("claimed \(n)", .ok(nil)), expecting: 31 + n) }
            try await claim.stream.append(.close(.root, .cancelled))
            let tailed = try await seen
            var read: [RecordedEvent] = []
            for try await event in stream.read() { read.append(event) }
            #expect(tailed == read)
            #expect(tailed.count == 37)
        }
    }

    @Test("of all streams too, those included that it creates")
    func ofAll() async throws {
        // New streams are told of by notifications, ours too.
        try await withTestJournal(.with { $0.listening.checkInterval = .seconds(3600) }) { journal in
            async let seen: [String: [Int]] = {
                var seen: [String: [Int]] = [:]
                var rest = 60
                for try await event in journal.tailAll() {
                    seen[event.stream.text, default: []].append(event.position)
                    rest -= 1
                    if rest == 0 { break }
                }
                return seen
            }()
            await journal.untilState(.listening)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for n in 0..<6 {
                    group.addTask {
                        let stream = try journal.stream("s\(n)")
                        for m in 0..<10 { try await stream.append(.close(CoroutineID("\(m)"), .ok(nil))) }
                    }
                }
                try await group.waitForAll()
            }
            let found = try await seen
            #expect(found.count == 6)
            #expect(found.values.allSatisfy { $0 == Array(0..<10) })
        }
    }

    @Test(
        "a tail that keeps up asks the server nothing, whatever our notifications say",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func noReads() async throws {
        let server = try await TestServer.shared.server()
        let proxy = try WireProxy(to: server.port)
        defer { proxy.close() }
        let change = ConfigurationChange.with { configuration in
            let database = configuration.databaseURL.split(separator: "/").dropFirst(2).first?.split(separator: "?")
                .first
            configuration.listenURL =
                "postgresql://postgres:\(server.password)@127.0.0.1:\(proxy.port)/\(database ?? "")"
                + "?sslmode=disable&gssencmode=disable"
            ConfigurationChange.onlyHearing.apply(&configuration)
        }
        try await withTestJournal(change) { journal in
            let (stream, tail, _) = try await following(journal)
            // What reads for those that follow is the connection that listens.
            func requests() -> Int { proxy.requestCount { $0.contains("listen ") } }
            var next = Task { try await tail.next().rows.map(\.position) }
            try await journal.untilTailWaits()
            // From here on no notification is there before the answer that it goes with.
            proxy.holdAnswers()
            let before = requests()
            for n in 1..<20 {
                try await stream.append(.close(CoroutineID("\(n)"), .ok(nil)))
                #expect(try await next.value == [n])
                next = Task { try await tail.next().rows.map(\.position) }
                try await journal.untilTailWaits()
            }
            await journal.flush()
            proxy.release()
            // Another's is heeded; it comes behind ours.
            try await stream.elsewhere { try await $0.append(.close("20", .ok(nil))) }
            #expect(try await next.value == [20])
            #expect(requests() == before + 1)
        }
    }

    @Test("two journals append to one stream, and both tail it: both see all of it in the same order")
    func mixed() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { one in
                try await withJournal(.quiet(url)) { other in
                    try await withThrowingTaskGroup(of: [String].self) { tails in
                        for journal in [one, other] {
                            for _ in 0..<4 {
                                tails.addTask {
                                    var ids: [String] = []
                                    for try await event in try journal.stream("s").tail(untilClose: true) {
                                        #expect(event.position == ids.count)
                                        ids.append(event.event.coroutineID.encoded)
                                    }
                                    return ids
                                }
                            }
                        }
                        try await withThrowingTaskGroup(of: Void.self) { writers in
                            for (name, journal) in [("one", one), ("other", other)] {
                                for writer in 0..<3 {
                                    writers.addTask {
                                        let stream = try journal.stream("s")
                                        for n in 0..<100 {
                                            try await stream.append(
                                                .close(CoroutineID("\(name).\(writer).\(n)"), .ok(nil))
                                            )
                                        }
                                    }
                                }
                            }
                            try await writers.waitForAll()
                        }
                        try await one.stream("s").append(.close(.root, .ok(nil)))
                        let recorded = try await one.stream("s").readAll().map(\.coroutineID.encoded)
                        #expect(recorded.count == 601)
                        for try await ids in tails { #expect(ids == recorded) }
                    }
                }
            }
        }
    }

    @Test("connections die at random while it appends and tails: each tail equals its stream")
    func lostConnections() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                try await withSQL(url) { killer in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for n in 0..<20 {
                            let stream = try journal.stream("s\(n)")
                            group.addTask {
                                var count = 0
                                for try await event in stream.tail(untilClose: true) {
                                    #expect(event.position == count)
                                    count += 1
                                }
                                #expect(count == 61)
                            }
                            group.addTask {
                                for m in 0..<60 { try await stream.append(.close(CoroutineID("\(m)"), .ok(nil))) }
                                try await stream.append(.close(.root, .ok(nil)))
                            }
                        }
                        for _ in 0..<30 {
                            try await killer.run(
                                """
                                select pg_sleep(0.02), pg_terminate_backend(pid) from (
                                    select pid from pg_stat_activity
                                    where datname = current_database() and application_name = 'durable-streams'
                                    order by random() limit 1) v
                                """
                            )
                        }
                        try await group.waitForAll()
                    }
                }
            }
        }
    }

    @Test(
        "an append whose answer is long in coming its tails have before that",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func answerLate() async throws {
        try await withWireProxy(.onlyHearing) { proxy, journal, _ in
            let (stream, tail, _) = try await following(journal)
            async let next = tail.next()
            try await journal.untilTailWaits()
            proxy.set(.init(direction: .toClient, index: 0, fault: .hold))
            async let appended = stream.append(.close("1", .ok(nil)))
            #expect(try await next.rows.map(\.position) == [1])
            proxy.release()
            #expect(try await appended == 1)
        }
    }

    @Test(
        "an append whose answer never comes is found by its tails all the same",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func answerLost() async throws {
        let change = ConfigurationChange.with {
            ConfigurationChange.onlyHearing.apply(&$0)
            $0.appendDeadline = .seconds(1)
        }
        try await withWireProxy(change) { proxy, journal, _ in
            let (stream, tail, position) = try await following(journal)
            async let next = tail.next()
            try await journal.untilTailWaits()
            proxy.set(.init(direction: .toClient, index: 0, fault: .swallow))
            // Nor is there a connection to ask what became of it.
            proxy.refuse(true)
            let error = await thrown { try await stream.append(.close("1", .ok(nil))) }
            // The machine was too slow to send it in time.
            guard error?.outcome != .notWritten else { return }
            #expect(error?.outcome == .unknown)
            #expect(try await next.rows.map(\.position) == [position + 1])
            proxy.refuse(false)
        }
    }

    @Test(
        "an append that was lost with its connection, its notification too, is found before it is known to be written",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func lostWithNotification() async throws {
        try await withWireProxy(.onlyHearing) { proxy, journal, direct in
            let (stream, tail, _) = try await following(journal, by: direct)
            async let next = tail.next()
            try await journal.untilTailWaits()
            // Of as many messages; the first has the session's settings ahead of it.
            for n in 0..<2 {
                await journal.flush()
                proxy.set(nil)
                try await journal.stream("other \(n)").append(.close("0", .ok(nil)))
            }
            await journal.flush()
            let count = proxy.transcript(.toServer).prefix { $0 != "S" }.count + 1
            let appends = { (statements: String) in statements.contains("append_") }
            proxy.set(.init(direction: .toServer, index: count, fault: .swallow))
            proxy.swallow([.toClient], where: appends)
            async let appended = stream.append(.close("1", .ok(nil)))
            try await until { try await direct.stream("s").nextPosition() == 2 }
            // Nor can it be asked yet what became of it.
            proxy.refuse(true)
            proxy.cutOff(where: appends)
            #expect(try await next.rows.map(\.position) == [1])
            proxy.refuse(false)
            #expect(try await appended == 1)
        }
    }

    @Test(
        "an append that is committed after its connection was lost its tails have by its notification",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func committedAfterLoss() async throws {
        let sayings = Sayings()
        let change = ConfigurationChange.with {
            ConfigurationChange.onlyHearing.apply(&$0)
            $0.logger = sayings.logger
        }
        try await withWireProxy(change) { proxy, journal, direct in
            let (stream, tail, _) = try await following(journal, by: direct)
            try await withSQL(direct.configuration.databaseURL) { sql in
                try await sql.letAppendsWait()
                try await sql.run("begin; lock table durable_streams.events in exclusive mode")
                async let next = tail.next()
                try await journal.untilTailWaits()
                proxy.set(nil)
                async let appended = stream.append(.close("1", .ok(nil)))
                // The session's settings, the append, and behind it its notification.
                try await until { proxy.transcript(.toServer).count { $0 == "S" } == 3 }
                proxy.refuse(true)
                proxy.cutOff { $0.contains("append_") }
                // When it was dealt with the loss.
                try await until { sayings.logged.contains { $0.message.hasPrefix("NOTIFY failed") } }
                try await sql.run("commit")
                #expect(try await next.rows.map(\.position) == [1])
                proxy.refuse(false)
                #expect(try await appended == 1)
            }
        }
    }

    @Test(
        "a transaction of which nobody could tell whether it was committed is found by its tails all the same",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func unknownTransaction() async throws {
        // Again where the machine stood still for so long that it was given up before it was committed.
        while try await !isFoundInTime(deadline: .seconds(4)) {}
    }

    private func isFoundInTime(deadline: Duration) async throws -> Bool {
        let change = ConfigurationChange.with {
            ConfigurationChange.onlyHearing.apply(&$0)
            $0.appendDeadline = deadline
        }
        return try await withWireProxy(change) { proxy, journal, direct in
            let (stream, tail, _) = try await following(journal, by: direct)
            let next = Task { try await tail.next().rows.map(\.position) }
            defer { next.cancel() }
            try await journal.untilTailWaits()
            let ours = { @Sendable (statements: String) in statements.contains("'ours'") }
            let committed = Task {
                try await until { try await direct.stream("s").nextPosition() == 2 }
                defer { proxy.cutOff(where: ours) }
                return ContinuousClock.now
            }
            defer { committed.cancel() }
            var begin = ContinuousClock.now
            let error = await thrown {
                try await journal.transaction { tx in
                    try await tx.query("select 'ours'")
                    try await tx.append(.close("1", .ok(nil)), to: stream)
                    // Nor can it be asked what became of it.
                    proxy.refuse(true)
                    proxy.swallow([.toClient], where: ours)
                    begin = .now
                }
            }
            guard error?.outcome != .notWritten else { return false }
            #expect(error?.outcome == .unknown)
            guard try await committed.value < begin + deadline else { return false }
            #expect(try await next.value == [1])
            return true
        }
    }
}
