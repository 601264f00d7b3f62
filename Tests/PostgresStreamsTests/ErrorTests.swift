import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// What errors say, and what they keep to themselves.
@Suite("Errors", .serialized, .timeLimit(.minutes(10)))
struct ErrorTests {
    private static let secret = "correct-horse-battery"

    /// Neither what a person reads nor what a debugger prints may quote a password or an event.
    private func expectNoSecret(_ error: JournalError?, sourceLocation: SourceLocation = #_sourceLocation) {
        let texts = [error.map { "\($0)" }, error.map { String(reflecting: $0) }, error?.message].compactMap(\.self)
        #expect(!texts.isEmpty, sourceLocation: sourceLocation)
        for text in texts { #expect(!text.contains(Self.secret), "\(text)", sourceLocation: sourceLocation) }
    }

    private func openError(_ url: String, timeout: Duration = .seconds(20)) async -> JournalError? {
        var configuration = JournalConfiguration.quiet(url)
        configuration.openTimeout = timeout
        return await thrown { try await Journal.open(configuration) }
    }

    @Test(
        "a wrong password is told at once, without the password",
        .enabled(if: TestServer.isPrivate, "needs a server that asks for passwords")
    )
    func wrongPassword() async throws {
        let server = try await TestServer.shared.server()
        let url = server.databaseURL(database: "postgres", password: Self.secret, tcp: true)
        let error = await openError(url, timeout: .seconds(600))
        #expect(error?.code == .unfit)
        #expect(error?.description.contains("password authentication failed") == true)
        expectNoSecret(error)
        let migration = await thrown { try await Migrator(.quiet(url)).migrate() }
        #expect(migration?.code == .unfit)
        expectNoSecret(migration)
    }

    @Test(
        "a missing database or role is told at once, by its name",
        .enabled(if: TestServer.isPrivate, "needs a server without passwords")
    )
    func missingDatabase() async throws {
        let server = try await TestServer.shared.server()
        let database = await openError(server.databaseURL(database: "not_there"), timeout: .seconds(600))
        #expect(database?.code == .unfit)
        #expect(database?.description.contains("not_there") == true)
        let role = await openError(
            server.databaseURL(database: "postgres", user: "nobody_here"),
            timeout: .seconds(600)
        )
        #expect(role?.code == .unfit)
        #expect(role?.description.contains("nobody_here") == true)
    }

    @Test("a server that is not there is told after openTimeout, with where it was sought")
    func unreachable() async throws {
        for url in [
            "postgresql://someone:\(Self.secret)@127.0.0.1:1/nowhere",
            "host=127.0.0.1 port=1 user=someone password=\(Self.secret) dbname=nowhere",
            "postgresql://someone:\(Self.secret)@/nowhere?host=/nonexistent-folder",
            "postgresql://someone:\(Self.secret)@no-such-host.invalid/nowhere",
        ] {
            let error = await openError(url, timeout: .milliseconds(50))
            #expect(error?.code == .unreachable, "\(url)")
            expectNoSecret(error)
        }
        let error = await openError("postgresql://127.0.0.1:1/nowhere", timeout: .milliseconds(50))
        #expect(error?.description.contains("127.0.0.1") == true)
        #expect(error?.description.contains("1") == true)
    }

    @Test(
        "a connection string that is none is told at once, and not quoted",
        arguments: [
            "postgresql://someone:\(Self.secret)@host:port:5432/x", "password=\(Self.secret) nonsense",
            "host=x password='\(Self.secret)", "postgresql://u:\(Self.secret)@h/d?unknown=1",
            "\(Self.secret)", "postgresql://u:%zz\(Self.secret)@h/d",
        ]
    )
    func invalidConnectionString(_ url: String) async throws {
        let error = await openError(url, timeout: .seconds(600))
        #expect(error?.code == .invalidArgument)
        expectNoSecret(error)
    }

    @Test("who stands in for a journal can make its errors and compare its values")
    func madeUp() throws {
        var error = JournalError(.fenced, outcome: .notWritten, "somebody claimed it")
        (error.epoch, error.currentEpoch) = (1, 2)
        #expect(error.description == "somebody claimed it; nothing was written")
        #expect(!error.asksForRetry)
        func areComparable<each T: Hashable & Sendable>(_: repeat (each T).Type) {}
        areComparable(RecordedEvent.self, StreamSummary.self, StreamReplayIndex.Coroutine.self, AppendReceipt.self)
    }

    @Test("what is not handed a closure throws nothing but a JournalError: that it compiles is the test")
    func typed() async throws {
        func use(_ stream: PostgresStream) async throws(JournalError) -> Int {
            let claimed = try await stream.claim().stream
            try await claimed.append(.close("a", .ok(nil)))
            try await claimed.append(.close("b", .ok(nil)), expecting: 1)
            let range = try await claimed.append(contentsOf: [.close("c", .ok(nil))])
            return try await range.upperBound + claimed.nextPosition() + claimed.readAll().count
        }
        let sum = try await withTestJournal { journal in try await use(journal.stream("s")) }
        #expect(sum == 9)
    }

    @Test("opening can be cancelled")
    func cancelledOpening() async throws {
        let task = Task { await openError("postgresql://127.0.0.1:1/nowhere", timeout: .seconds(100_000)) }
        task.cancel()
        #expect(await task.value != nil)
    }

    @Test("what the server refuses is told without the event", .enabled(if: TestServer.isPrivate, "alters tables"))
    func refusedEvent() async throws {
        try await withTestJournal { journal in
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await sql.run(
                    "alter table durable_streams.events add constraint no_events check (octet_length(event::text) < 20)"
                )
            }
            let stream = try journal.stream("s")
            let event = DurableEvent.close("root", .error(EffectFailure(message: JSONString(Self.secret))))
            for events in [[event], [event, event]] {
                let error = await thrown { try await stream.append(contentsOf: events) }
                #expect(error?.code == .refused)
                #expect(error?.outcome == .notWritten)
                #expect(error?.sqlState == "23514")
                #expect(error?.description.contains("no_events") == true)
                expectNoSecret(error)
            }
        }
    }

    @Test("names that no stream can have are refused, with the reason")
    func names() async throws {
        try await withTestJournal { journal in
            for (name, reason) in [
                ("", "empty"), ("nu\0l", "NUL"), (String(repeating: "n", count: 513), "512"),
                (String(repeating: "é", count: 257), "514"),
            ] {
                let error = await thrown { try journal.stream(name) }
                #expect(error?.code == .invalidArgument)
                #expect(error?.description.contains(reason) == true)
            }
            for name in [
                String(repeating: "n", count: 512), " ", "\n", "'; drop table events; --", "日本語",
                "\u{1F469}\u{200D}\u{1F680}",
                "e\u{301}", "\u{e9}", "%", "_",
            ] {
                let stream = try journal.stream(name)
                let id = JSONString(name)
                #expect(try await stream.append(.close(id, .ok(nil))) == 0)
                #expect(try await stream.readAll().map(\.coroutineID) == [id])
            }
            var names: [String] = []
            for try await summary in journal.streams() { names.append(summary.name.text) }
            #expect(names.count == 10)
            #expect(
                names.map { Array($0.utf8) } == names.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
            )
        }
    }

    @Test("an event of 64 MiB is taken, a larger one refused before it is sent")
    func largeEvents() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            // Not looked through, byte by byte, as JSON of that size would be: that takes a debug build a while.
            let memory = Letters(count: PostgresStream.maximumEventByteCount)
            let frame = DurableEvent.close("root", .ok(try JSONText("\"\"")))
            let room = PostgresStream.maximumEventByteCount - frame.json.utf8Count
            func event(_ count: Int) -> DurableEvent { .close("root", .ok(memory.string(of: count))) }
            let tooLarge = event(room + 1)
            for events in [[tooLarge], [frame, tooLarge]] {
                let error = await thrown { try await stream.append(contentsOf: events) }
                #expect(error?.code == .invalidArgument)
                #expect(error?.outcome == .notWritten)
                #expect(error?.description.contains("67108864") == true)
            }
            let largest = event(room)
            #expect(largest.json.utf8Count == PostgresStream.maximumEventByteCount)
            #expect(try await stream.append(largest) == 0)
            #expect(try await stream.readAll() == [largest])
        }
    }

    @Test("arguments that cannot be are refused before anything is sent")
    func arguments() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            let negative = await thrown { try await stream.append(.close("root", .cancelled), expecting: -1) }
            #expect(negative?.code == .invalidArgument)
            #expect(try await stream.append(contentsOf: []) == 0..<0)
            let nothing = await thrown { try await stream.append(contentsOf: [], expecting: 3) }
            #expect(nothing?.code == .conflict)
            #expect(nothing?.actualPosition == 0)
        }
    }

    @Test("a property of the configuration that is out of its range is refused by its name, with the range")
    func configuration() async throws {
        typealias Change = (inout JournalConfiguration) -> Void
        let days = Duration.seconds(366 * 24 * 3600)
        let duration = "more than zero and at most 366 days"
        let cases: [(String, String, Change)] = [
            ("writerConnections is 0", "1 to 1024", { $0.writerConnections = 0 }),
            ("writerConnections is \(Int.max)", "1 to 1024", { $0.writerConnections = .max }),
            ("readerConnections is 1025", "1 to 1024", { $0.readerConnections = 1025 }),
            ("transactionConnections is 1025", "1 to 1024", { $0.transactionConnections = 1025 }),
            ("readerConnections is -1", "1 to 1024", { $0.readerConnections = -1 }),
            ("transactionConnections is 0", "1 to 1024", { $0.transactionConnections = 0 }),
            ("openTimeout is 0.0 seconds", duration, { $0.openTimeout = .zero }),
            ("appendDeadline is -1.0 seconds", duration, { $0.appendDeadline = .seconds(-1) }),
            ("readDeadline is", duration, { $0.readDeadline = .seconds(Int64.max) }),
            ("busyWait is", "zero to a second", { $0.busyWait = .nanoseconds(-1) }),
            ("busyWait is", "zero to a second", { $0.busyWait = .milliseconds(1001) }),
            ("maximumSegmentBytes is 0", "1 to 536870912", { $0.maximumSegmentBytes = 0 }),
            ("maximumSegmentBytes is 536870913", "1 to 536870912", { $0.maximumSegmentBytes = 512 << 20 + 1 }),
            ("maximumQueuedBytes is 0", "1 or more", { $0.maximumQueuedBytes = 0 }),
            ("pageSize is 0", "1 to 1000000", { $0.pageSize = 0 }),
            ("pageSize is 1000001", "1 to 1000000", { $0.pageSize = 1_000_001 }),
            ("replayCacheBytes is -1", "0 or more", { $0.replayCacheBytes = -1 }),
            ("listening.probeInterval is", duration, { $0.listening.probeInterval = .zero }),
            ("listening.probeTimeout is", duration, { $0.listening.probeTimeout = .zero }),
            ("listening.checkInterval is", duration, { $0.listening.checkInterval = days + .nanoseconds(1) }),
            ("listening.pollInterval is", duration, { $0.listening.pollInterval = .zero }),
            ("listening.slowPollInterval is", duration, { $0.listening.slowPollInterval = .zero }),
            ("listening.idleAfter is", duration, { $0.listening.idleAfter = .zero }),
            ("listening.quietInterval is", duration, { $0.listening.quietInterval = .seconds(-1) }),
        ]
        for (property, range, change) in cases {
            var configuration = JournalConfiguration.quiet("postgresql://127.0.0.1:1/nowhere")
            change(&configuration)
            let errors = [
                await thrown { try await Journal.open(configuration) },
                await thrown { try Migrator(configuration) },
                await thrown { try Doctor(configuration) },
            ]
            for error in errors {
                #expect(error?.code == .invalidArgument)
                #expect(error?.message.contains("JournalConfiguration.\(property)") == true, "\(error?.message ?? "")")
                #expect(error?.message.hasSuffix("has to be \(range)") == true, "\(error?.message ?? "")")
            }
        }
    }

    @Test("what is at the end of its range is taken")
    func extremes() async throws {
        let days = Duration.seconds(366 * 24 * 3600)
        let changes: [ConfigurationChange] = [
            .with {
                ($0.busyWait, $0.maximumSegmentBytes, $0.maximumQueuedBytes) = (.zero, 1, 1)
                ($0.pageSize, $0.replayCacheBytes) = (1, 0)
            },
            .with {
                ($0.openTimeout, $0.appendDeadline, $0.readDeadline, $0.busyWait) = (days, days, days, .seconds(1))
                ($0.maximumSegmentBytes, $0.maximumQueuedBytes) = (512 << 20, .max)
                ($0.pageSize, $0.replayCacheBytes) = (1_000_000, .max)
                ($0.listening.probeInterval, $0.listening.probeTimeout) = (days, days)
                ($0.listening.checkInterval, $0.listening.pollInterval) = (days, days)
                ($0.listening.slowPollInterval, $0.listening.idleAfter, $0.listening.quietInterval) = (days, days, days)
            },
        ]
        for change in changes {
            try await withTestJournal(change) { journal in
                let stream = try journal.stream("s")
                let events = (0..<3).map { DurableEvent.close(CoroutineID("\($0)"), .ok(nil)) }
                #expect(try await stream.append(contentsOf: events) == 0..<3)
                #expect(try await stream.readAll() == events)
                let index = stream.replayIndex()
                #expect(try await index.hasClose("1"))
                try await stream.append(.close(.root, .ok(nil)))
                #expect(try await stream.tail(untilClose: true).reduce(into: 0) { count, _ in count += 1 } == 4)
                try await journal.transaction { tx in _ = try await tx.append(.close(.root, .ok(nil)), to: stream) }
            }
        }
    }

    @Test("a server that takes no writes is read and tailed, and unfit for appends")
    func readOnly() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                _ = try await journal.stream("s").append(.close("root", .ok(nil)))
            }
            try await withSQL(url) { sql in
                let database = try await sql.value("select current_database()")
                try await sql.run("alter database \"\(database)\" set default_transaction_read_only = on")
            }
            var configuration = JournalConfiguration.quiet(url)
            configuration.appendDeadline = .milliseconds(500)
            try await withJournal(configuration) { journal in
                let stream = try journal.stream("s")
                var seen = 0
                for try await _ in stream.tail(untilClose: true) { seen += 1 }
                #expect(seen == 1)
                #expect(try await stream.readAll().count == 1)
                var error: JournalError?
                // Until it has learnt why there is no connection.
                try await until {
                    error = await thrown { try await stream.append(.close("late", .ok(nil))) }
                    return error?.code != .unreachable
                }
                #expect(error?.code == .unfit)
                #expect(error?.outcome == .notWritten)
                #expect(error?.description.contains("read-only") == true)
            }
        }
    }

    @Test(
        "a database in another encoding is refused, with what to do",
        .enabled(if: TestServer.isPrivate, "creates a database of a name of its own")
    )
    func encoding() async throws {
        let server = try await TestServer.shared.server()
        try await server.psql("create database latin encoding 'LATIN1' template template0")
        let url = server.databaseURL(database: "latin")
        let error = await openError(url)
        #expect(error?.code == .schemaBehind || error?.code == .unfit)
        let migration = await thrown { try await Migrator(.quiet(url)).migrate() }
        #expect(migration?.code == .unfit)
        #expect(migration?.description.contains("LATIN1") == true)
    }
}

/// Memory for long JSON strings.
///
/// `@unchecked Sendable`: written only while it is made.
private final class Letters: @unchecked Sendable {
    private let bytes: UnsafeMutableRawBufferPointer

    init(count: Int) {
        bytes = .allocate(byteCount: count, alignment: 1)
        bytes.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "x"))
        bytes[0] = UInt8(ascii: "\"")
    }

    deinit { bytes.deallocate() }

    /// A string of so many letters, good until the next is made: an event copies it.
    func string(of count: Int) -> JSONText {
        bytes[count + 1] = UInt8(ascii: "\"")
        return JSONText(trusting: UnsafeRawBufferPointer(rebasing: bytes[..<(count + 2)]), owner: self)
    }
}
