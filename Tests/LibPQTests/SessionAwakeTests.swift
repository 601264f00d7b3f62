import Testing

@testable import LibPQ

/// A session whose thread stays awake for an hour after an answer: what would not wake it is missed for as long.
@Suite("A session that stays awake", .timeLimit(.minutes(10)))
struct SessionAwakeTests {
    private func awake(timer: ContinuousClock.Instant? = nil) async throws -> LiveSession {
        let url = try await SessionServer.shared.server().url
        var live = try LiveSession(SessionOptions(connectionString: url, busyWait: .seconds(3600)))
        _ = try await live.connected()
        if let timer { live.session.setTimer(at: timer) }
        #expect(await ask(live).integer == 1)
        return live
    }

    private func ask(_ live: LiveSession) async -> LiveSession.Outcome {
        await withCheckedContinuation { continuation in
            let command = LiveSession.Command("select 1")
            live.session.submit([
                Batch([command.sent], awake: .forNextAnswer) { continuation.resume(returning: $0) }
            ])
        }
    }

    @Test("answers one batch after the other")
    func answers() async throws {
        var live = try await awake()
        for _ in 0..<100 { #expect(await ask(live).integer == 1) }
        try await live.close()
    }

    @Test("gets the answer to a question of its own thread, and is woken after that")
    func ownQuestion() async throws {
        let url = try await SessionServer.shared.server().url
        var live = try LiveSession(SessionOptions(connectionString: url, busyWait: .seconds(3600)))
        _ = try await live.connected()
        let session = live.session
        let answers: [Int?] = await withCheckedContinuation { continuation in
            let first = LiveSession.Command("select 1")
            let second = LiveSession.Command("select pg_sleep(0.1), 2 as two")
            session.submit([
                Batch([first.sent]) { one in
                    // On the session's thread.
                    session.submit([
                        Batch([second.sent], awake: .forAnswer) { two in
                            let row = try? two.get().last
                            continuation.resume(returning: [one.integer, row?.integer(row: 0, column: 1)])
                        }
                    ])
                }
            ])
        }
        #expect(answers == [1, 2])
        live.session.setTimer(at: .now + .milliseconds(20))
        #expect(await live.next()?.isTimer == true)
        #expect(await live.run("select 3").integer == 3)
        try await live.close()
    }

    @Test("sends what the socket does not take at once")
    func large() async throws {
        var live = try await awake()
        let text = String(repeating: "x", count: 8 << 20)
        let outcome = await live.run([.init("select length($1)", types: [.text]) { $0.append(text) }])
        #expect(outcome.integer == text.utf8.count)
        try await live.close()
    }

    @Test("rings a timer that was set before, and one that another thread sets")
    func timers() async throws {
        var live = try await awake(timer: .now + .milliseconds(20))
        #expect(await live.next()?.isTimer == true)
        _ = await ask(live)
        live.session.setTimer(at: .now + .milliseconds(20))
        #expect(await live.next()?.isTimer == true)
        try await live.close()
    }

    @Test("ends when it is closed, and when its backend is terminated")
    func ends() async throws {
        var closed = try await awake()
        closed.session.close()
        #expect(try await closed.ended().reason == .closed)
        var terminated = try await awake()
        let pid = await terminated.run("select pg_backend_pid()").integer
        _ = await ask(terminated)
        try await SessionServer.shared.server().psql("select pg_terminate_backend(\(try #require(pid)))")
        #expect(try await terminated.ended().reason == .network)
    }
}
