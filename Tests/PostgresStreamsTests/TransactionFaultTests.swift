import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// The caller's transactions where their connections are lost, or swallow what is said.
@Suite("Transactions and lost connections", .serialized, .timeLimit(.minutes(10)))
struct TransactionFaultTests {
    private static let event = DurableEvent.close("root", .cancelled)

    /// A journal whose connections go through a proxy, one that goes straight to the server, and that one's URL.
    private func withProxy(
        deadline: Duration = .seconds(240),
        _ body: (_ proxy: WireProxy, _ journal: Journal, _ direct: Journal, _ url: String) async throws -> Void
    ) async throws {
        try await withWireProxy(.with { $0.appendDeadline = deadline }) { proxy, journal, direct in
            let url = direct.configuration.databaseURL
            try await Accounts.make(url)
            try await body(proxy, journal, direct, url)
        }
    }

    @Test("a connection that is lost in the body is not the journal's end, and what follows was not written")
    func lostInBody() async throws {
        try await Accounts.with { url, journal in
            func lose(_ tx: JournalTransaction) async throws {
                let pid = try await tx.query("select pg_backend_pid()").first?[0].int ?? 0
                try await withSQL(url) { sql in
                    try await sql.run("select pg_terminate_backend(\(pid), 60000)")
                }
                // Once this side has noticed.
                let error = await #expect(throws: JournalError.self) { try await tx.query("select 1") }
                #expect(error?.code == .unreachable)
                #expect(error?.outcome == .notWritten)
            }
            let query = await thrown {
                try await journal.transaction { tx in
                    try await lose(tx)
                    try await tx.query("select 1")
                }
            }
            #expect(query?.code == .unreachable)
            // Nothing was appended by which it could be looked for; nor need it be.
            let commit = await thrown { try await journal.transaction { tx in try await lose(tx) } }
            #expect(commit?.code == .unreachable)
            #expect(commit?.outcome == .notWritten)
        }
    }

    @Test(
        "a commit that is swallowed, or its answer, ends by the deadline, and it is found out which",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine"),
        arguments: [(WireProxy.Direction.toClient, Duration.seconds(8)), (.toServer, .seconds(1))]
    )
    func swallowedCommit(_ direction: WireProxy.Direction, deadline: Duration) async throws {
        try await withProxy(deadline: deadline) { proxy, journal, direct, url in
            let stream = try journal.stream("s")
            var failure: JournalError?
            do {
                try await journal.transaction { tx in
                    try await tx.query("update accounts set balance = balance - 1 where id = 'a'")
                    try await tx.append(Self.event, to: stream)
                    proxy.swallow([direction]) { $0.contains("balance - 1") }
                }
            } catch let error as JournalError {
                failure = error
            }
            let isCommitted = direction == .toClient
            #expect((failure == nil) == isCommitted, "\(failure.map { "\($0)" } ?? "none")")
            #expect(failure?.outcome != .written)
            if let failure { #expect(failure.code == .unreachable) }
            #expect(try await direct.stream("s").nextPosition() == (isCommitted ? 1 : 0))
            #expect(try await Accounts.balance(url) == (isCommitted ? 99 : 100))
        }
    }

    @Test(
        "a statement that is swallowed, or its answer, ends once the server is asked; one that takes long does not",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func swallowedStatement() async throws {
        try await withProxy { proxy, journal, _, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for direction in WireProxy.Direction.allCases {
                    group.addTask {
                        let error = await thrown {
                            try await journal.transaction { tx in
                                try await tx.query("select '\(direction)'")
                                proxy.swallow([direction]) { $0.contains("'\(direction)'") }
                                try await tx.query("update accounts set balance = balance - 1 where id = 'b'")
                            }
                        }
                        #expect(error?.code == .unreachable)
                        #expect(error?.outcome == .notWritten)
                        #expect(error?.message.contains("fell silent") == true, "\(error?.message ?? "")")
                    }
                }
                group.addTask {
                    let answer = try await journal.transaction { try await $0.query("select 7, pg_sleep(25)") }
                    #expect(answer.first?[0].int == 7)
                }
                try await group.waitForAll()
            }
            // As long as its answer is coming.
            proxy.setRate(300_000)
            let answer = try await journal.transaction { tx in
                try await tx.query("select repeat('x', 1000000) from generate_series(1, 6)")
            }
            #expect(answer.count == 6)
        }
    }

    @Test(
        "of a commit whose outcome nobody could tell resolve does, and the replay that ran it takes it for done",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func unresolvedCommit() async throws {
        try await withProxy(deadline: .seconds(4)) { proxy, journal, direct, _ in
            let effect = try EffectDescription(effectID: "pay", input: nil)
            let stream = try journal.stream("s")
            let index = stream.replayIndex()
            #expect(try await index.match(effect, in: .root) == .live)
            var error: JournalError?
            // Again where the machine stood still for so long that it had not begun by the deadline.
            repeat {
                error = await thrown {
                    try await journal.transaction { tx in
                        try await tx.query("update accounts set balance = balance - 1 where id = 'a'")
                        try await tx.append(.yield(.root, effect, .ok(nil)), to: stream)
                        proxy.refuse(true)
                        proxy.swallow([.toClient]) { $0.contains("balance - 1") }
                    }
                }
                proxy.refuse(false)
            } while error?.outcome == .notWritten
            #expect(error?.outcome == .unknown)
            let receipt = try #require(error?.receipt)
            #expect(try await journal.resolve(receipt) == .written(at: 0))
            #expect(index.cursor(of: .root) == 1)
            #expect(try await index.match(effect, in: .root) == .live)
            #expect(try await direct.stream("s").nextPosition() == 1)
        }
    }

    @Test(
        "an append in a transaction that is swallowed, or its answer, ends in time, and nothing was written",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine"),
        arguments: WireProxy.Direction.allCases
    )
    func swallowedAppend(_ direction: WireProxy.Direction) async throws {
        try await withProxy(deadline: .seconds(1)) { proxy, journal, direct, _ in
            let stream = try journal.stream("s")
            let error = await thrown {
                try await journal.transaction { tx in
                    try await tx.query("select 1")
                    proxy.swallow([direction]) { $0.contains("select 1") }
                    try await tx.append(Self.event, to: stream)
                }
            }
            #expect(error?.code == .unreachable)
            #expect(error?.outcome == .notWritten)
            // Its connection was given up, and others are made: on a slow machine not within that time at once.
            try await until {
                let next = try await outcome {
                    try await journal.transaction { tx in try await tx.append(Self.event, to: stream) }
                }
                guard case .failure(let error) = next else { return true }
                #expect(error.outcome == .notWritten)
                return false
            }
            #expect(try await direct.stream("s").nextPosition() == 1)
        }
    }

    @Test(
        "a connection that breaks at any message of the append or the commit: done or not, and said so",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine"),
        arguments: [WireProxy.Fault.cut, .cutAfter]
    )
    func brokenCommit(_ fault: WireProxy.Fault) async throws {
        try await withProxy { proxy, journal, direct, url in
            let stream = try journal.stream("s")
            var committed = 0
            for direction in WireProxy.Direction.allCases {
                // The append's messages and the commit's, and some more that never come.
                for index in 0..<12 {
                    do {
                        proxy.set(.init(direction: direction, index: index, fault: fault))
                        try await journal.transaction { tx in
                            try await tx.query("update accounts set balance = balance - 1 where id = 'a'")
                            try await tx.append(Self.event, to: stream)
                        }
                        committed += 1
                    } catch let error as JournalError {
                        #expect(error.outcome == .notWritten, "\(error)")
                    }
                    proxy.set(nil)
                    #expect(try await direct.stream("s").nextPosition() == committed)
                    #expect(try await Accounts.balance(url) == 100 - committed)
                }
            }
            #expect(committed > 0)
        }
    }
}
