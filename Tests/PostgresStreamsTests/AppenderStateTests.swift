import Testing
import TisynStreams

@testable import PostgresStreams

@Suite("The appender's state")
struct AppenderStateTests {
    private func append(_ id: Int, deadline: ContinuousClock.Instant) -> Append {
        Append(
            id: id,
            stream: StreamName(trusting: "s"),
            epoch: nil,
            expecting: nil,
            events: [.close("c", .cancelled)],
            byteCount: 1,
            deadline: deadline
        )
    }

    @Test("every connection looks after the deadlines: any of them may be the one there is")
    func deadlines() {
        var state = AppenderState(queue: AppendQueue(limits: .init(bytes: 1 << 20)), lineCount: 3)
        let deadline = ContinuousClock.now + .seconds(30)
        state.add([append(1, deadline: deadline)])
        #expect(state.takeEffects().timers == [0, 1, 2])
        for line in 0..<3 { #expect(state.nextTime(of: line) == deadline) }
        // Not set anew at each append.
        state.add([append(2, deadline: deadline + .seconds(1))])
        #expect(state.takeEffects().timers == [])
    }

    @Test("with no connection the first is made, and another not before that one stands")
    func connecting() {
        var state = AppenderState(queue: AppendQueue(limits: .init(bytes: 1 << 20)), lineCount: 2)
        state.add([append(1, deadline: .now)])
        #expect(state.takeEffects().starting == [0])
        state.add([append(2, deadline: .now)])
        #expect(state.takeEffects().starting == [])
    }

    @Test("a connection that pauses is not free, and its timer rings at the end of the pause")
    func pause() throws {
        var state = AppenderState(queue: AppendQueue(limits: .init(bytes: 1 << 20)), lineCount: 1)
        state.pause(0)
        #expect(state.takeEffects().timers == [0])
        #expect(state.nextTime(of: 0) == state.lines[0].pausedUntil)
        #expect(!state.lines[0].isOpen)
    }

    @Test("what waits for a connection that is not needed any more goes over the one before it")
    func notNeeded() throws {
        var state = AppenderState(queue: AppendQueue(limits: .init(bytes: 1 << 20, segmentsUnderWay: 4)), lineCount: 2)
        // The first connection is away, so the second takes the stream's first append; its next waits for the answer.
        // Nothing is sent over this one: it stands for one that is open.
        state.lines[1].session = .start(.init(connectionString: "host=/nowhere")) { _, _ in }
        let session = try #require(state.lines[1].session)
        defer { session.close() }
        let deadline = ContinuousClock.now + .seconds(30)
        state.add([append(1, deadline: deadline)])
        let departure = try #require(state.takeEffects().departures.first)
        #expect(departure.line == 1)
        state.add([append(2, deadline: deadline)])
        #expect(state.takeEffects().departures.isEmpty)
        // The first is back.
        state.lines[0].session = session
        let place = state.takeOffTheWire(departure.segment.id, of: 1)
        state.resolve(state.queue.answered(departure.segment.id, [.written(0)]))
        state.goOn(1, after: place, at: .now)
        let next = try #require(state.takeEffects().departures.first)
        #expect(next.line == 0)
        #expect(next.segment.runs.first?.appends.map(\.id) == [2])
    }
}
