import PostgresStreams
import Testing
import TisynStreams

/// What is called inside a transaction's body: what would wait for the end of that body is refused at once.
@Suite("Transactions of the caller: what is called inside one", .serialized, .timeLimit(.minutes(10)))
struct TransactionNestingTests {
    private static let event = DurableEvent.close("root", .cancelled)

    /// Longer than the suite's time limit: what waits for a deadline does not pass.
    private static var change: ConfigurationChange { .with { $0.appendDeadline = .seconds(1200) } }

    private func expectRefusal(_ attempt: () async throws -> Void) async {
        let error = await thrown { try await attempt() }
        #expect(error?.code == .invalidArgument)
        #expect(error?.outcome == .notWritten)
        #expect(error?.message.contains("held by the transaction") == true)
    }

    @Test("an append or claim of a stream that the transaction appended to is refused, and the transaction goes on")
    func refused() async throws {
        try await withTestJournal(Self.change) { journal in
            let stream = try journal.stream("s")
            try await journal.transaction { tx in
                try await stream.append(Self.event)
                try await tx.append(Self.event, to: stream)
                await expectRefusal { try await stream.append(Self.event) }
                await expectRefusal { try await stream.append(Self.event, expecting: 2) }
                await expectRefusal { try await stream.append(contentsOf: [Self.event]) }
                await expectRefusal { try await stream.append(reserving: 1000) { Self.event } }
                await expectRefusal { _ = try await stream.claim() }
                #expect(try await tx.append(Self.event, to: stream) == 2)
                // Nothing is waited for.
                #expect(try await stream.append(contentsOf: []) == 1..<1)
                #expect(try await stream.nextPosition() == 1)
            }
            #expect(try await stream.append(Self.event) == 3)
        }
    }

    @Test("so it is where the transaction's own append was a conflict: the stream is held all the same")
    func conflict() async throws {
        try await withTestJournal(Self.change) { journal in
            let stream = try journal.stream("s")
            let error = await thrown {
                try await journal.transaction { tx in
                    let error = await thrown { try await tx.append(Self.event, to: stream, expecting: 7) }
                    #expect(error?.code == .conflict)
                    await expectRefusal { try await stream.append(Self.event) }
                }
            }
            #expect(error?.code == .conflict)
        }
    }

    @Test("other streams, other journals, and transactions that leave the stream alone are as free as elsewhere")
    func others() async throws {
        try await withTestJournal(Self.change) { journal in
            try await withTestJournal(Self.change) { another in
                let (held, free) = (try journal.stream("held"), try journal.stream("free"))
                let elsewhere = try another.stream("held")
                try await journal.transaction { tx in
                    try await tx.append(Self.event, to: held)
                    #expect(try await free.append(Self.event) == 0)
                    #expect(try await free.claim().position == 1)
                    #expect(try await elsewhere.append(Self.event) == 0)
                    try await another.transaction { inner async throws in
                        #expect(try await inner.append(Self.event, to: elsewhere) == 1)
                    }
                    try await journal.transaction { inner async throws in
                        #expect(try await inner.append(Self.event, to: journal.stream("third")) == 0)
                    }
                }
                #expect(try await held.nextPosition() == 1)
            }
        }
    }

    @Test("of two transactions, one in the other's body, neither appends to a stream that the other holds")
    func nested() async throws {
        try await withTestJournal(Self.change) { journal in
            let (first, second) = (try journal.stream("a"), try journal.stream("b"))
            try await journal.transaction { outer in
                try await outer.append(Self.event, to: first)
                // It fails the one that asks for it.
                await expectRefusal {
                    _ = try await journal.transaction { inner in try await inner.append(Self.event, to: first) }
                }
                try await journal.transaction { inner in
                    try await inner.append(Self.event, to: second)
                    await expectRefusal { try await first.append(Self.event) }
                    await expectRefusal { try await second.append(Self.event) }
                }
                // It is free again.
                #expect(try await second.append(Self.event) == 1)
                #expect(try await outer.append(Self.event, to: second) == 2)
            }
            await expectRefusal {
                try await journal.transaction { outer in
                    try await outer.append(Self.event, to: first)
                    try await journal.transaction { inner in
                        try await inner.append(Self.event, to: second)
                        await expectRefusal { try await outer.append(Self.event, to: second) }
                    }
                }
            }
            #expect(try await first.nextPosition() == 1)
            #expect(try await second.nextPosition() == 4)
        }
    }

    @Test("child tasks and tasks made in the body are inside it; a detached one waits; behind the body all are free")
    func tasks() async throws {
        try await withTestJournal(Self.change) { journal in
            let stream = try journal.stream("s")
            let (ended, end) = AsyncStream.makeStream(of: Void.self)
            let (late, detached) = try await journal.transaction { tx in
                try await tx.append(Self.event, to: stream)
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { await expectRefusal { try await stream.append(Self.event) } }
                }
                await Task { await expectRefusal { try await stream.append(Self.event) } }.value
                let late = Task {
                    for await _ in ended { break }
                    return try await stream.append(Self.event)
                }
                return (late, Task.detached { try await stream.append(Self.event) })
            }
            end.finish()
            #expect(try await Set([late.value, detached.value]) == [1, 2])
        }
    }

    @Test("an append waits as long as it did, and leaves the transaction's own time for locks as it was")
    func lockTimeout() async throws {
        try await withTestJournal(Self.change) { journal in
            let stream = try journal.stream("s")
            try await journal.transaction { tx in
                try await tx.append(Self.event, to: stream)
                #expect(try await tx.query("show lock_timeout").first?[0].text == "0")
                try await tx.query("set local lock_timeout = '7s'")
                try await tx.append(Self.event, to: stream)
                #expect(try await tx.query("show lock_timeout").first?[0].text == "7s")
            }
        }
    }
}
