import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// How often a worker waits for the server before it goes on after a crash, counted on the wire.
@Suite(
    "Round trips of a replay",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
)
struct RoundTripTests {
    private func event(_ n: Int) throws -> DurableEvent {
        .yield(.root, try EffectDescription(effectID: "a.b", input: JSONText("\(n)")), .ok(try JSONText("\(n)")))
    }

    /// Runs `body` with a stream of 10 events, a journal whose connections go through a proxy, and where that connects to.
    private func withShortStream(
        _ body: (_ proxy: WireProxy, _ configuration: JournalConfiguration) async throws -> Void
    ) async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                _ = try await journal.stream("s").append(contentsOf: (0..<10).map(event))
            }
            let proxy = try WireProxy(to: server.port)
            defer { proxy.close() }
            let database = try await withSQL(url) { try await $0.value("select current_database()") }
            try await body(
                proxy,
                .quiet(
                    "postgresql://postgres:\(server.password)@127.0.0.1:\(proxy.port)/\(database)"
                        + "?sslmode=disable&gssencmode=disable"
                )
            )
        }
    }

    /// Waits until the proxy has counted what a connection sends when it is made, and does not wait for: behind it comes this.
    private func untilPrepared(_ journal: Journal) async throws { _ = try await journal.stream("other").nextPosition() }

    @Test("to claim a short stream and get its index's first answer takes two, and the rest of its replay none")
    func shortStream() async throws {
        try await withShortStream { proxy, configuration in
            try await withJournal(configuration) { journal in
                try await untilPrepared(journal)
                let opened = proxy.requestCount()
                // The first: the claim.
                let stream = try await journal.stream("s").claim().stream
                #expect(proxy.requestCount() == opened + 1)
                // The second: two requests that do not wait for each other, the stream's end and its first page.
                proxy.holdAnswers()
                let index = stream.replayIndex()
                #expect(proxy.requestCount() == opened + 1)
                async let first = index.peekYield(.root)
                try await until { proxy.requestCount() == opened + 3 }
                proxy.release()
                #expect(try await first?.result == .ok(JSONText("0")))
                // From here on the whole replay needs none.
                for n in 0..<10 {
                    let effect = try EffectDescription(effectID: "a.b", input: JSONText("\(n)"))
                    let match = try await index.match(effect, in: .root)
                    #expect(match == .replay(.ok(try JSONText("\(n)"))))
                }
                #expect(try await index.peekYield(.root) == nil)
                #expect(try await !index.hasClose(.root))
                #expect(try await index.peekYield("root.0") == nil)
                #expect(proxy.requestCount() == opened + 3)
            }
        }
    }

    @Test("an effect that runs costs its append, and the question before it nothing")
    func live() async throws {
        func isReader(_ statements: String) -> Bool { statements.contains("index_page") }
        try await withShortStream { proxy, configuration in
            try await withJournal(configuration) { journal in
                let stream = try await journal.stream("s").claim().stream
                let index = stream.replayIndex()
                for _ in 0..<10 { index.consumeYield(.root) }
                #expect(try await index.peekYield(.root) == nil)
                let effect = try EffectDescription(effectID: "a.b", input: JSONText("0"))
                #expect(try await index.match(effect, in: .root) == .live)
                try await stream.append(event(10))
                for n in 11..<20 {
                    let before = proxy.requestCount(where: isReader)
                    #expect(try await index.match(effect, in: .root) == .live)
                    #expect(proxy.requestCount(where: isReader) == before)
                    try await stream.append(event(n))
                }
                #expect(index.cursor(of: .root) == 20)
            }
        }
    }

    @Test("whether a coroutine closed is one, of a stream of any length")
    func hasClose() async throws {
        try await withShortStream { proxy, configuration in
            try await withJournal(configuration) { journal in
                let index = try journal.stream("s").replayIndex()
                try await untilPrepared(journal)
                let before = proxy.requestCount()
                #expect(try await !index.hasClose(.root))
                #expect(proxy.requestCount() == before + 1)
                #expect(try await !index.hasClose(.root))
                #expect(proxy.requestCount() == before + 1)
            }
        }
    }
}
