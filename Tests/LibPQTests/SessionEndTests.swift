import PrivatePostgres
import Synchronization
import Testing

@testable import LibPQ

@Suite("The end of a session", .timeLimit(.minutes(10)))
struct SessionEndTests {
    private func server() async throws -> PrivatePostgres { try await SessionServer.shared.server() }

    private static let sleep = LiveSession.Command("select pg_sleep(3600)")

    // MARK: By us

    @Test("closing an idle session is its last event; what is submitted after it never leaves, and is told so at once")
    func closeIdle() async throws {
        var live = try await LiveSession.open(try await server().url)
        live.session.close()
        live.session.close()
        #expect(try await live.ended().reason == .closed)
        let told = Mutex<[Bool?]>([])
        live.session.submit([
            Batch([LiveSession.Command("select 1").sent]) { outcome in told.withLock { $0.append(outcome.lost) } }
        ])
        #expect(told.withLock { $0 } == [false])
    }

    @Test("what is under way when it is closed has an unknown outcome, told before the end and once")
    func closeBusy() async throws {
        var live = try await LiveSession.open(try await server().url)
        let outcomes = live.submit([Self.sleep, Self.sleep, .init("select 1")])
        live.session.close()
        #expect(try await live.ended().reason == .closed)
        var told: [Int] = []
        for await (index, outcome) in outcomes {
            told.append(index)
            #expect(outcome.lost == true)
        }
        #expect(told == [0, 1, 2])
    }

    @Test("it can be closed while it connects, and rings the timer meanwhile")
    func closeConnecting() async throws {
        let host = try SilentHost()
        var live = try LiveSession(
            SessionOptions(
                connectionString: "host=\(SilentHost.address) port=\(host.port) dbname=d sslmode=disable",
                connectTimeout: .seconds(3600)
            )
        )
        live.session.setTimer(at: .now + .milliseconds(5))
        #expect(await live.next()?.isTimer == true)
        #expect(await live.run("select 1").lost == false)
        live.session.close()
        #expect(try await live.ended().reason == .closed)
    }

    @Test("it can be closed while it waits for its time to start, and rings the timer meanwhile")
    func closeWaiting() async throws {
        var live = try LiveSession(SessionOptions(connectionString: try await server().url), after: .seconds(3600))
        live.session.setTimer(at: .now)
        #expect(await live.next()?.isTimer == true)
        live.session.close()
        #expect(try await live.ended().reason == .closed)
    }

    // MARK: By the server

    @Test("when its backend is terminated what is under way is unknown, and the end says why")
    func terminated() async throws {
        let server = try await server()
        var live = try LiveSession(SessionOptions(connectionString: server.url))
        let pid = try await live.connected().backendPID
        let outcomes = live.submit([.init("select 1"), Self.sleep, .init("select 2")])
        var told: [Bool?] = []
        for await (index, outcome) in outcomes {
            told.append(outcome.lost)
            if index == 0 { try await server.psql("select pg_terminate_backend(\(pid))") }
        }
        #expect(told == [nil, true, true])
        let failure = try await live.ended()
        #expect(failure.reason == .network)
        #expect(failure.sqlState == "57P01")
        #expect(failure.message.contains("SQLSTATE 57P01"))
    }

    @Test("when its backend is terminated while nothing is under way it ends too")
    func terminatedIdle() async throws {
        let server = try await server()
        var live = try LiveSession(SessionOptions(connectionString: server.url))
        let pid = try await live.connected().backendPID
        try await server.psql("select pg_terminate_backend(\(pid))")
        #expect(try await live.ended().reason == .network)
        #expect(await live.run("select 1").lost == false)
    }

    @Test("a statement that is cancelled is refused, and the session goes on")
    func cancelled() async throws {
        let server = try await server()
        var live = try LiveSession(SessionOptions(connectionString: server.url))
        let pid = try await live.connected().backendPID
        let outcomes = live.submit([.init("select 1"), Self.sleep, .init("select 2")])
        var told: [String?] = []
        for await (index, outcome) in outcomes {
            told.append(outcome.refusal)
            guard index == 0 else { continue }
            // It sleeps only a moment after the answer before it: a cancel that comes too early does nothing.
            let asleep = "select count(*) from pg_stat_activity where pid = \(pid) and wait_event = 'PgSleep'"
            while try await server.psql(asleep) == "0" { await Task.yield() }
            try await server.psql("select pg_cancel_backend(\(pid))")
        }
        #expect(told == [nil, "57014", nil])
        try await live.close()
    }

    @Test(
        "a server that stops or is killed ends it; a new one connects when the server is back",
        arguments: [PrivatePostgres.StopMode.fast, .immediate, nil]
    )
    func serverGone(mode: PrivatePostgres.StopMode?) async throws {
        try await withPrivatePostgres(.init(tcp: true)) { server in
            var live = try await LiveSession.open(server.url)
            var idle = try await LiveSession.open(server.databaseURL)
            // Longer than any stop takes; what goes on in a server that was killed has to end by itself.
            let outcomes = live.submit([.init("select 1"), .init("select pg_sleep(\(mode == nil ? 10 : 1000))")])
            var told: [Bool?] = []
            for await (index, outcome) in outcomes {
                told.append(outcome.lost)
                guard index == 0 else { continue }
                if let mode { await server.stop(mode: mode) } else { await server.kill() }
                var late = try LiveSession(SessionOptions(connectionString: server.databaseURL))
                // A backend that lives on after the server was killed takes no new sessions either.
                #expect(try await late.ended().reason != .closed)
            }
            // A killed server's backend may end its statement before it notices; it never hangs up on a half answer.
            #expect(told == [nil, true] || mode == nil && told == [nil, nil], "\(told)")
            #expect(try await live.ended().reason == .network)
            #expect(try await idle.ended().reason == .network)
            try await server.start()
            var again = try await LiveSession.open(server.url)
            #expect(await again.run("select 1").integer == 1)
            try await again.close()
        }
    }

    @Test("whatever ends it, every batch from every thread is told once")
    func everyBatchOnce() async throws {
        let server = try await server()
        for round in 0..<5 {
            var live = try LiveSession(SessionOptions(connectionString: server.url))
            let pid = try await live.connected().backendPID
            let told = Tally()
            let session = live.session
            await withTaskGroup(of: Void.self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        for number in 0..<100 {
                            let id = writer * 100 + number
                            session.submit([
                                Batch([LiveSession.Command("select 1").sent]) { _ in told.count(id) }
                            ])
                            if writer == 0, number == 50 {
                                if round.isMultiple(of: 2) {
                                    session.close()
                                } else {
                                    _ = try? await server.psql("select pg_terminate_backend(\(pid))")
                                }
                            }
                        }
                    }
                }
            }
            _ = try await live.ended()
            #expect(told.counts.count == 800)
            #expect(told.counts.values.allSatisfy { $0 == 1 })
        }
    }
}

/// How often each was told.
private final class Tally: Sendable {
    private let state = Mutex<[Int: Int]>([:])

    var counts: [Int: Int] { state.withLock { $0 } }

    func count(_ id: Int) { state.withLock { $0[id, default: 0] += 1 } }
}
