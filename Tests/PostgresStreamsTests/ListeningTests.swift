import Foundation
import Logging
import PrivatePostgres
import Synchronization
import Testing
import TisynStreams

@testable import PostgresStreams

/// How tails are told of new events, and that they are told whatever happens to who tells them.
@Suite("Listening", .serialized, .timeLimit(.minutes(10)))
struct ListeningTests {
    private static let backends = """
        from pg_stat_activity where datname = current_database() and application_name = 'durable-streams'
        """

    private func append(_ range: Range<Int>, _ stream: PostgresStream) async throws {
        try await stream.elsewhere { stream in
            for n in range { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
        }
    }

    private func until(_ journal: Journal, _ matches: (ListeningState) -> Bool) async {
        for await state in journal.listeningStates() where matches(state) { break }
    }

    /// A journal with a tail of stream `s`, and what it has delivered, one after the other.
    private func withTail(
        _ change: ConfigurationChange = .none,
        _ body: (_ journal: Journal, _ stream: PostgresStream, _ next: () async throws -> Int?) async throws -> Void
    ) async throws {
        try await withTestJournal(change) { journal in
            let stream = try journal.stream("s")
            let (positions, continuation) = AsyncThrowingStream.makeStream(of: Int.self)
            let tail = Task {
                do {
                    for try await event in stream.tail() { continuation.yield(event.position) }
                } catch { continuation.finish(throwing: error) }
            }
            defer { tail.cancel() }
            var iterator = positions.makeAsyncIterator()
            try await body(journal, stream) { try await iterator.next() }
        }
    }

    @Test("idle, reconnecting, listening, idle: the states of a journal that tails for a while")
    func states() async throws {
        try await withTestJournal { journal in
            #expect(journal.listeningState == .idle)
            let stream = try journal.stream("s")
            let tail = Task { for try await _ in stream.tail() {} }
            var seen: [ListeningState] = []
            for await state in journal.listeningStates() {
                seen.append(state)
                if state == .listening { tail.cancel() }
                if seen.contains(.listening), state == .idle { break }
            }
            #expect(seen.last == .idle)
            #expect(journal.listeningState == .idle)
        }
    }

    @Test("several can follow the states, each from the one that is")
    func observers() async throws {
        try await withTail(.patientProbes) { journal, _, _ in
            await until(journal) { $0 == .listening }
            for _ in 0..<3 {
                var first: ListeningState?
                for await state in journal.listeningStates() {
                    first = state
                    break
                }
                #expect(first == .listening)
            }
        }
    }

    @Test("a log handler that is told of a change may ask for the state")
    func askingLogHandler() async throws {
        let asked = Mutex<Journal?>(nil)
        let heard = Mutex<[ListeningState]>([])
        let handler = CallingLogHandler {
            guard let journal = asked.withLock({ $0 }) else { return }
            let state = journal.listeningState
            heard.withLock { $0.append(state) }
        }
        try await withTestJournal(.with { $0.logger = Logger(label: "test") { _ in handler } }) { journal in
            asked.withLock { $0 = journal }
            let tail = Task { for try await _ in try journal.stream("s").tail() {} }
            await until(journal) { $0 == .listening }
            tail.cancel()
            await until(journal) { $0 == .idle }
            asked.withLock { $0 = nil }
        }
        #expect(heard.withLock { $0.contains(.listening) })
    }

    @Test("states that are followed by tasks that end while they change keep nobody waiting")
    func endingObservers() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            for _ in 0..<200 {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<4 {
                        group.addTask { for await _ in journal.listeningStates() {} }
                        group.addTask { do { for try await _ in stream.tail() {} } catch {} }
                    }
                    await Task.yield()
                    group.cancelAll()
                }
            }
            #expect(try await stream.append(.close("0", .cancelled)) == 0)
        }
    }

    @Test("all backends of a journal are terminated: the tail goes on where it was, and listens again")
    func terminated() async throws {
        try await withTail(.patientProbes) { journal, stream, next in
            await until(journal) { $0 == .listening }
            try await withSQL(journal.configuration.databaseURL) { sql in
                for round in 0..<5 {
                    try await append((2 * round)..<(2 * round + 1), stream)
                    #expect(try await next() == 2 * round)
                    var states = journal.listeningStates().makeAsyncIterator()
                    #expect(await states.next() == .listening)
                    try await sql.run("select pg_terminate_backend(pid) \(Self.backends)")
                    while case .listening? = await states.next() {}
                    try await append((2 * round + 1)..<(2 * round + 2), stream)
                    #expect(try await next() == 2 * round + 1)
                    await until(journal) { $0 == .listening }
                }
            }
        }
    }

    /// Runs `body` when the last tail of a journal has ended, and the connection is lost that is kept for the next one. Nothing
    /// but notifications tells tails of events.
    private func withLostLinger<R: Sendable>(_ body: (Journal) async throws -> R) async throws -> R {
        let change = ConfigurationChange.with {
            ConfigurationChange.onlyHearing.apply(&$0)
            ConfigurationChange.patientProbes.apply(&$0)
        }
        return try await withTestJournal(change) { journal in
            let tail = Task { for try await _ in try journal.stream("s").tail() {} }
            await until(journal) { $0 == .listening }
            tail.cancel()
            await until(journal) { $0 == .idle }
            return try await body(journal)
        }
    }

    private func loseConnections(_ journal: Journal) async throws {
        try await withSQL(journal.configuration.databaseURL) { sql in
            try await sql.run("select pg_terminate_backend(pid, 60000) \(Self.backends)")
        }
        try await PostgresStreamsTests.until {
            journal.tails.listener.serverStart == nil || journal.listeningState != .idle
        }
    }

    @Test("a connection that is lost while nobody tails is not made again")
    func lostWhileIdle() async throws {
        let states = try await withLostLinger { journal in
            let states = journal.listeningStates()
            try await loseConnections(journal)
            try await append(0..<3, journal.stream("s"))
            return states
        }
        var seen: [ListeningState] = []
        for await state in states { seen.append(state) }
        #expect(seen == [.idle])
    }

    @Test("a tail that begins after the connection was lost that was kept for it gets all there was and all that comes")
    func lostBeforeNextTail() async throws {
        try await withLostLinger { journal in
            try await loseConnections(journal)
            let stream = try journal.stream("s")
            try await append(0..<2, stream)
            var tail = stream.tail().makeAsyncIterator()
            for position in 0..<2 { #expect(try await tail.next()?.position == position) }
            await until(journal) { $0 == .listening }
            let next = Task { try await stream.tail(from: .position(2)).first { _ in true }?.position }
            defer { next.cancel() }
            try await journal.untilTailWaits()
            try await append(2..<3, stream)
            #expect(try await next.value == 2)
        }
    }

    @Test(
        "an append is told of whose connection was lost right behind its answer, before it was its turn to be told of",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func lostBeforeTold() async throws {
        try await withWireProxy { proxy, journal, direct in
            let hearing = JournalConfiguration.with(
                direct.configuration.databaseURL,
                ConfigurationChange.onlyHearing.apply
            )
            try await withJournal(hearing) { tailing in
                try await direct.stream("s").append(.close("0", .ok(nil)))
                let tail = Task {
                    try await tailing.stream("s").tail(from: .position(1)).first { _ in true }?.position
                }
                defer { tail.cancel() }
                await until(tailing) { $0 == .listening }
                try await tailing.untilTailWaits()
                let other = try StreamName("other")
                let onlyTells = { (statements: String) in
                    statements.contains("pg_notify") && !statements.contains("append_")
                }
                try await PostgresStreamsTests.until {
                    journal.announce([other])
                    await journal.flush()
                    return proxy.connectionCount(where: onlyTells) > 0
                }
                // Another's first append, of as many answers: to the session's settings, and to itself.
                proxy.set(nil)
                try await append(0..<1, journal.stream("other"))
                let answers = proxy.transcript(.toClient).split(separator: "Z").prefix(2)
                let last = answers.map { $0.count + 1 }.reduce(0, +) - 1
                // Something else is being told of, and what is appended has to wait.
                proxy.holdAnswers(where: onlyTells)
                journal.announce([other])
                proxy.set(.init(direction: .toClient, index: last, fault: .cutAfter))
                #expect(try await journal.stream("s").append(.close("1", .ok(nil))) == 1)
                proxy.release()
                #expect(try await tail.value == 1)
            }
        }
    }

    @Test("with listening turned off tails poll, and say so")
    func turnedOff() async throws {
        try await withTail(
            .with {
                $0.listening.isEnabled = false
                $0.listening.pollInterval = .milliseconds(20)
            }
        ) { journal, stream, next in
            await until(journal) { $0 == .polling(.turnedOff) }
            try await append(0..<5, stream)
            for position in 0..<5 { #expect(try await next() == position) }
            try await withSQL(journal.configuration.databaseURL) { sql in
                let listeners = try await sql.integer("select count(*) \(Self.backends) and query like 'listen%'")
                #expect(listeners == 0)
            }
        }
    }

    /// Through a proxy that takes the listener's bytes from some time on, and tells nobody.
    private func withSwallowedListener(
        _ directions: Set<WireProxy.Direction> = [.toServer, .toClient],
        _ change: @escaping (inout JournalConfiguration) -> Void,
        _ body: (_ states: inout AsyncStream<ListeningState>.Iterator) async throws -> Void
    ) async throws {
        let server = try await TestServer.shared.server()
        let proxy = try WireProxy(to: server.port)
        defer { proxy.close() }
        try await withTail(
            .with { configuration in
                let name = configuration.databaseURL.split(separator: "/").dropFirst(2).first?.split(separator: "?")
                    .first
                configuration.listenURL =
                    "postgresql://postgres:\(server.password)@127.0.0.1:\(proxy.port)/\(name ?? "")"
                    + "?sslmode=disable&gssencmode=disable"
                change(&configuration)
            }
        ) { journal, stream, next in
            await until(journal) { $0 == .listening }
            try await append(0..<1, stream)
            #expect(try await next() == 0)
            var states = journal.listeningStates().makeAsyncIterator()
            proxy.swallow(directions) { $0.contains("listen ") }
            try await body(&states)
            // By a journal each: one that closes tells of its last event only if that takes no longer than a second.
            try await append(1..<2, stream)
            try await append(2..<3, stream)
            #expect(try await next() == 1)
            #expect(try await next() == 2)
            await until(journal) { $0 == .listening }
        }
    }

    @Test(
        "a listener whose bytes are swallowed is found deaf, polls at once, and listens again on a new connection",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func swallowed() async throws {
        try await withSwallowedListener {
            $0.listening.probeInterval = .milliseconds(100)
            $0.listening.probeTimeout = .milliseconds(500)
            $0.listening.checkInterval = .seconds(3600)
            $0.listening.pollInterval = .milliseconds(20)
        } _: { states in
            while let state = await states.next() {
                // Which of the two comes first is open.
                if case .reconnecting = state { break }
                if state == .polling(.heartbeatMissed) { break }
            }
        }
    }

    @Test(
        "a listener that hears and is not heard is found out when it is asked, and listens again on a new connection",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func unheard() async throws {
        try await withSwallowedListener([.toServer]) {
            $0.readDeadline = .seconds(2)
            $0.listening.probeInterval = .milliseconds(100)
            $0.listening.checkInterval = .seconds(3600)
        } _: { _ in
        }
    }

    @Test(
        "with the default intervals it says so and is back within a minute",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine"),
        .enabled(
            if: ProcessInfo.processInfo.environment["DURABLE_STREAMS_DEFAULT_INTERVALS"] != nil,
            "takes half a minute: DURABLE_STREAMS_DEFAULT_INTERVALS turns it on"
        )
    )
    func swallowedByDefault() async throws {
        try await withSwallowedListener { _ in
        } _: { states in
            let start = ContinuousClock.now
            var seen: [ListeningState] = []
            while let state = await states.next() {
                seen.append(state)
                if seen.count > 1, state == .listening { break }
            }
            #expect(
                seen.contains { state in
                    switch state {
                    case .polling(.heartbeatMissed), .reconnecting(_, .heartbeatMissed): true
                    default: false
                    }
                },
                "\(seen)"
            )
            #expect(ContinuousClock.now - start < .seconds(60), "\(seen)")
        }
    }

    @Test("a probe that others send does not pass for ours")
    func forgedProbe() async throws {
        try await withTail(.patientProbes) { journal, stream, next in
            await until(journal) { $0 == .listening }
            try await withSQL(journal.configuration.databaseURL) { sql in
                for _ in 0..<50 { try await sql.run("select pg_notify('durable_streams', 'probe:1')") }
            }
            try await append(0..<1, stream)
            #expect(try await next() == 0)
            #expect(journal.listeningState == .listening)
        }
    }

    @Test("a listener that cannot connect keeps trying, and the tail polls meanwhile")
    func unreachable() async throws {
        try await withTail(
            .with {
                $0.listenURL = "postgresql://127.0.0.1:1/nowhere"
                $0.listening.pollInterval = .milliseconds(20)
            }
        ) { journal, stream, next in
            await until(journal) { if case .reconnecting(_, .connectionLost) = $0 { true } else { false } }
            try await append(0..<3, stream)
            for position in 0..<3 { #expect(try await next() == position) }
        }
    }
}

/// Calls back at each line.
private struct CallingLogHandler: LogHandler {
    let call: @Sendable () -> Void
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    init(_ call: @escaping @Sendable () -> Void) { self.call = call }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { call() }
}
