import Testing
import TisynStreams

@testable import PostgresStreams

@Suite("Connections of the appender that are silent")
struct AppenderDoubtTests {
    private static let deadline = Duration.seconds(60)

    private func append(_ id: Int) -> Append {
        Append(
            id: id,
            stream: StreamName(trusting: "s\(id)"),
            epoch: nil,
            expecting: nil,
            events: [.close("c", .cancelled)],
            byteCount: 1,
            deadline: .now + Self.deadline
        )
    }

    /// A state whose only connection has a segment on its wire, and when that was sent.
    private func withSent(
        deadline: Duration = deadline,
        _ body: (inout AppenderState, ContinuousClock.Instant) throws -> Void
    ) throws {
        var state = AppenderState(
            queue: AppendQueue(limits: .init(bytes: 1 << 20)),
            wireCount: 1,
            deadline: deadline
        )
        // Nothing is sent over this one.
        state.wires[0].session = .start(.init(connectionString: "host=/nowhere")) { _, _ in }
        let session = try #require(state.wires[0].session)
        defer { session.close() }
        state.wires[0].backendPID = 42
        state.add([append(1)])
        #expect(state.takeEffects().departures.count == 1)
        let sentAt = try #require(state.wires[0].underWay.first?.sentAt)
        try body(&state, sentAt)
    }

    @Test("after 10 s of silence, or a third of a shorter deadline, it is asked once what the server is at")
    func asked() throws {
        for (deadline, trust) in [(Duration.seconds(60), Duration.seconds(10)), (.seconds(6), .seconds(2))] {
            try withSent(deadline: deadline) { state, sentAt in
                #expect(state.nextTime(of: 0) == sentAt + trust)
                let soon = state.doubts(at: sentAt + trust - .milliseconds(1))
                #expect(soon.isEmpty)
                let doubts = state.doubts(at: sentAt + trust)
                #expect(doubts.map(\.wire) == [0])
                #expect(doubts.map(\.backendPID) == [42])
                let again = state.doubts(at: sentAt + trust * 9)
                #expect(again.isEmpty)
            }
        }
    }

    @Test("an answer is waited for as long as the silence was, however long the callers wait")
    func deadlineOfTheQuestion() throws {
        try withSent(deadline: .seconds(600)) { state, sentAt in
            let askedAt = sentAt + .seconds(10)
            let doubts = state.doubts(at: askedAt)
            #expect(doubts.map(\.deadline) == [askedAt + .seconds(10)])
        }
    }

    @Test("nothing is asked once the journal is closed")
    func closed() throws {
        try withSent { state, sentAt in
            state.isClosed = true
            let doubts = state.doubts(at: sentAt + .seconds(10))
            #expect(doubts.isEmpty)
        }
    }

    @Test("one that the server is not at is ended")
    func lost() throws {
        try withSent { state, sentAt in
            let doubt = try #require(state.doubts(at: sentAt + .seconds(10)).first)
            let isLost = state.resolve(doubt, isAtWork: false, at: sentAt + .seconds(11))
            #expect(isLost)
            #expect(!state.wires[0].isOpen)
        }
    }

    @Test(
        "one that the server is at, or that nobody can tell of, is left, and asked about again later",
        arguments: [true, nil]
    )
    func left(isAtWork: Bool?) throws {
        try withSent { state, sentAt in
            let doubt = try #require(state.doubts(at: sentAt + .seconds(10)).first)
            let foundAt = sentAt + .seconds(11)
            let isLost = state.resolve(doubt, isAtWork: isAtWork, at: foundAt)
            #expect(!isLost)
            #expect(state.wires[0].isOpen)
            #expect(state.nextTime(of: 0) == foundAt + .seconds(10))
            let soon = state.doubts(at: foundAt + .seconds(9))
            #expect(soon.isEmpty)
            let later = state.doubts(at: foundAt + .seconds(10))
            #expect(later.count == 1)
        }
    }

    @Test("one that has answered meanwhile is not ended")
    func answered() throws {
        try withSent { state, sentAt in
            let doubt = try #require(state.doubts(at: sentAt + .seconds(10)).first)
            _ = state.takeOffTheWire(doubt.segmentID, of: 0)
            let isLost = state.resolve(doubt, isAtWork: false, at: sentAt + .seconds(11))
            #expect(!isLost)
            #expect(state.wires[0].isOpen)
        }
    }

    @Test("what was sent before is given twice the time: a way that is only slow must not lose it again and again")
    func repeated() throws {
        try withSent { state, sentAt in
            state.wires[0].underWay[0].isRepeated = true
            let soon = state.doubts(at: sentAt + .seconds(19))
            #expect(soon.isEmpty)
            let later = state.doubts(at: sentAt + .seconds(20))
            #expect(later.count == 1)
        }
    }
}
