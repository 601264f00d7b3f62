import Testing
import TisynStreams

@testable import PostgresStreams

@Suite("The appender's state")
struct AppenderStateTests {
    private func append(_ id: Int, to stream: String = "s", deadline: ContinuousClock.Instant) -> Append {
        Append(
            id: id,
            stream: StreamName(trusting: stream),
            epoch: nil,
            expecting: nil,
            events: [.close("c", .cancelled)],
            byteCount: 1,
            deadline: deadline
        )
    }

    @Test("every connection looks after the deadlines: any of them may be the one there is")
    func deadlines() {
        var state = AppenderState(queue: AppendQueue(limits: .init(bytes: 1 << 20)), wireCount: 3)
        let deadline = ContinuousClock.now + .seconds(30)
        state.add([append(1, deadline: deadline)])
        #expect(state.takeEffects().timers == [0, 1, 2])
        for wire in 0..<3 { #expect(state.nextTime(of: wire) == deadline) }
        // Not set anew at each append.
        state.add([append(2, deadline: deadline + .seconds(1))])
        #expect(state.takeEffects().timers == [])
    }

    @Test("with no connection the first is made, and another not before that one stands")
    func connecting() {
        var state = AppenderState(queue: AppendQueue(limits: .init(bytes: 1 << 20)), wireCount: 2)
        state.add([append(1, deadline: .now)])
        #expect(state.takeEffects().starting == [0])
        state.add([append(2, deadline: .now)])
        #expect(state.takeEffects().starting == [])
    }

    @Test("a connection that pauses is not free, and its timer rings at the end of the pause")
    func pause() throws {
        var state = AppenderState(queue: AppendQueue(limits: .init(bytes: 1 << 20)), wireCount: 1)
        state.pause(0)
        #expect(state.takeEffects().timers == [0])
        #expect(state.nextTime(of: 0) == state.wires[0].pausedUntil)
        #expect(!state.wires[0].isOpen)
    }

    @Test("what waits for a connection that is not needed any more goes over the one before it")
    func notNeeded() throws {
        var state = AppenderState(queue: AppendQueue(limits: .init(bytes: 1 << 20, segmentsUnderWay: 4)), wireCount: 2)
        // The first connection is away, so the second takes the stream's first append; its next waits for the answer.
        // Nothing is sent over this one: it stands for one that is open.
        state.wires[1].session = .start(.init(connectionString: "host=/nowhere")) { _, _ in }
        let session = try #require(state.wires[1].session)
        defer { session.close() }
        let deadline = ContinuousClock.now + .seconds(30)
        state.add([append(1, deadline: deadline)])
        let departure = try #require(state.takeEffects().departures.first)
        #expect(departure.wire == 1)
        state.add([append(2, deadline: deadline)])
        #expect(state.takeEffects().departures.isEmpty)
        // The first is back.
        state.wires[0].session = session
        let place = state.takeOffTheWire(departure.segment.id, of: 1)
        state.resolve(state.queue.answered(departure.segment.id, [.written(0)]))
        state.goOn(1, after: place, at: .now)
        let next = try #require(state.takeEffects().departures.first)
        #expect(next.wire == 0)
        #expect(next.segment.runs.first?.appends.map(\.id) == [2])
    }

    @Test("a connection is ended where all of a segment is over, or some of it, and there was no answer for long")
    func overdue() throws {
        try open { state in
            let now = ContinuousClock.now
            state.add([append(1, to: "a", deadline: now)])
            state.add([append(2, to: "b", deadline: now + .seconds(60))])
            let sent = try #require(state.takeEffects().departures.first?.segment)
            #expect(sent.appendCount == 1)
            // Answered by nobody; the second is given the same place.
            let place = state.takeOffTheWire(sent.id, of: 0)
            state.queue.connectionLost(sent.id, sent: false)
            state.goOn(0, after: place, at: now)
            let both = try #require(state.takeEffects().departures.first?.segment)
            #expect(both.appendCount == 2)
            let reason = JournalError(.unreachable, "gone")
            let sentAt = try #require(state.wires[0].underWay.last?.sentAt)
            let session = state.wires[0].session
            let soon = state.expire(at: sentAt, because: reason)
            #expect(soon.isEmpty)
            #expect(state.wires[0].isOpen)
            // It is looked at again when that is long. (Whether the server is at it, is being found out.)
            let doubts = state.doubts(at: sentAt + .seconds(10))
            #expect(doubts.map(\.wire) == [0])
            #expect(state.nextTime(of: 0) == sentAt + .seconds(10))
            let later = state.expire(at: sentAt + .seconds(10), because: reason)
            #expect(later.map(\.wire) == [0])
            #expect(later.first?.session === session)
            #expect(!state.wires[0].isOpen)
            // It is to be told what became of it, when the session ends.
            #expect(state.wires[0].underWay.count == 1)
            #expect(state.nextTime(of: 0) == now + .seconds(60))
            state.wires[0].session = session
            let last = state.expire(at: now + .seconds(60), because: reason)
            #expect(last.map(\.wire) == [0])
            #expect(state.wires[0].underWay.isEmpty)
            #expect(state.queue.isEmpty)
        }
    }

    @Test("nothing goes behind an append that goes alone, and every connection looks after one that rests")
    func lone() throws {
        try open(2) { state in
            let deadline = ContinuousClock.now + .seconds(60)
            state.add([append(1, to: "a held one", deadline: deadline), append(2, to: "b", deadline: deadline)])
            for attempt in 1...2 {
                let departure = try #require(state.takeEffects().departures.first)
                #expect(departure.segment.appendCount == (attempt == 1 ? 2 : 1))
                #expect(departure.lockPatience == (attempt == 1 ? nil : .milliseconds(100)))
                #expect(state.wires[0].underWay.last?.isLone == (attempt == 2))
                if attempt == 2 {
                    state.add((0..<100).map { append(10 + $0, to: "s\($0)", deadline: deadline) })
                    #expect(state.takeEffects().departures.allSatisfy { $0.wire == 1 })
                }
                let place = state.takeOffTheWire(departure.segment.id, of: 0)
                let refusal = state.queue.refused(
                    departure.segment.id,
                    .init(severity: "ERROR", sqlState: "55P03", message: "no"),
                    at: .now
                )
                #expect(refusal.isToPause == (attempt == 1))
                state.setRestTimers()
                state.goOn(0, after: place, at: .now)
            }
            let effects = state.takeEffects()
            #expect(!effects.departures.isEmpty)
            #expect(Set(effects.timers).isSuperset(of: [0, 1]))
            let rested = try #require(state.queue.firstRestEnd)
            for wire in 0..<2 { #expect(try #require(state.nextTime(of: wire)) <= rested) }
            state.endRests(at: rested)
            #expect(state.queue.firstRestEnd == nil)
        }
    }

    /// A state with open connections.
    private func open(_ wireCount: Int = 1, _ body: (inout AppenderState) throws -> Void) throws {
        var state = AppenderState(
            queue: AppendQueue(limits: .init(bytes: 1 << 20, segmentsUnderWay: Pace.mostUnderWay * wireCount)),
            wireCount: wireCount
        )
        // Nothing is sent over this one: it stands for those that are open.
        state.wires[0].session = .start(.init(connectionString: "host=/nowhere")) { _, _ in }
        let session = try #require(state.wires[0].session)
        defer { session.close() }
        for wire in 0..<wireCount { (state.wires[wire].session, state.wires[wire].backendPID) = (session, wire + 1) }
        try body(&state)
    }

    /// Appends to so many streams, named from `first` on, and the segments that leave.
    private func add(_ count: Int, from first: Int, to state: inout AppenderState) -> [Segment] {
        let deadline = ContinuousClock.now + .seconds(30)
        state.add((first..<(first + count)).map { append($0, to: "s\($0)", deadline: deadline) })
        return state.takeEffects().departures.map(\.segment)
    }

    /// What is to be done after the answer to a segment of the first connection.
    ///
    /// - Parameter isAlone: it does not matter when another was answered.
    private func answered(
        _ segment: Segment,
        _ state: inout AppenderState,
        after duration: Duration,
        isAlone: Bool = true
    ) -> AppenderState.Effects {
        let place = state.takeOffTheWire(segment.id, of: 0)
        state.resolve(state.queue.answered(segment.id, segment.runs.map { _ in .written(0) }))
        // By the segment's own clock: a slow machine would add to ours.
        if isAlone { state.wires[0].answeredAt = nil }
        state.goOn(0, after: place, at: (place?.sentAt ?? .now) + duration)
        return state.takeEffects()
    }

    private func answer(_ segment: Segment, _ state: inout AppenderState, after duration: Duration = .zero) -> [Segment]
    {
        answered(segment, &state, after: duration).departures.map(\.segment)
    }

    @Test("a few do not go behind a segment, they go when it is answered")
    func few() throws {
        try open { state in
            let first = try #require(add(1, from: 0, to: &state).first)
            #expect(add(23, from: 1, to: &state).isEmpty)
            let next = try #require(answer(first, &state).first)
            #expect(next.runs.count == 23)
        }
    }

    @Test("many do, if they are not far fewer than those before them")
    func many() throws {
        try open { state in
            #expect(add(40, from: 0, to: &state).map(\.runs.count) == [40])
            #expect(add(29, from: 40, to: &state).isEmpty)
            #expect(add(1, from: 69, to: &state).map(\.runs.count) == [30])
            // The wire is full.
            #expect(add(50, from: 70, to: &state).isEmpty)
        }
    }

    @Test("so many that two segments are worth it are halved")
    func halves() throws {
        try open { state in
            #expect(add(47, from: 0, to: &state).map(\.runs.count) == [47])
        }
        try open { state in
            #expect(add(48, from: 0, to: &state).map(\.runs.count) == [24, 24])
        }
    }

    /// Appends one that shows how far the server is.
    private func show(_ way: Duration, serving service: Duration, to state: inout AppenderState) throws {
        state.pace.connected(way: way)
        let first = try #require(add(1, from: 1000, to: &state).first)
        #expect(answer(first, &state, after: way + service).isEmpty)
        // However slow this machine is, nothing is stuck.
        state.wires[0].answeredAt = .now + .seconds(3600)
    }

    /// As if all that is under way were sent in an hour, with what follows from that by their own clock.
    private func postpone(_ state: inout AppenderState) {
        let sentAt = ContinuousClock.now + .seconds(3600)
        for index in state.wires[0].underWay.indices { state.wires[0].underWay[index].sentAt = sentAt }
    }

    @Test("where the way is most of what a segment takes, a few go at once: the server has nothing else to do")
    func far() throws {
        try open { state in
            try show(.milliseconds(2), serving: .milliseconds(0.7), to: &state)
            #expect(state.pace.window == 3)
            let first = try #require(add(1, from: 0, to: &state).first)
            #expect(add(1, from: 1, to: &state).count == 1)
            #expect(add(1, from: 2, to: &state).count == 1)
            // So many keep it at work.
            #expect(add(1, from: 3, to: &state).isEmpty)
            #expect(add(1, from: 4, to: &state).isEmpty)
            // Those who were answered are not waited for.
            postpone(&state)
            let next = answer(first, &state, after: .milliseconds(2.7))
            #expect(next.map(\.runs.count) == [2])
        }
    }

    @Test("what those under way together take is measured from answer to answer")
    func farTogether() throws {
        try open { state in
            try show(.milliseconds(2), serving: .milliseconds(0.7), to: &state)
            let segments = (0..<3).compactMap { add(1, from: $0, to: &state).first }
            #expect(segments.count == 3)
            postpone(&state)
            let sentAt = try #require(state.wires[0].underWay.first?.sentAt)
            for (number, segment) in segments.enumerated() {
                let duration = Duration.milliseconds(2.7 + 0.7 * Double(number))
                _ = answered(segment, &state, after: duration, isAlone: number == 0)
                #expect(state.wires[0].answeredAt == sentAt + duration)
                #expect(state.pace.window == 3)
            }
        }
    }

    @Test("where it is far, nothing goes behind what does not come back, or behind as much as a segment may hold")
    func farAndStuck() throws {
        for isHeavy in [false, true] {
            try open(2) { state in
                try show(.milliseconds(2), serving: .milliseconds(0.7), to: &state)
                #expect(add(1, from: 0, to: &state).count == 1)
                if isHeavy {
                    state.wires[0].underWay[0].byteCount = 1 << 20
                    #expect(add(1, from: 1, to: &state).isEmpty)
                } else {
                    state.wires[0].underWay[0].sentAt -= .seconds(1)
                    state.wires[0].answeredAt = nil
                    let deadline = ContinuousClock.now + .seconds(30)
                    state.add([append(1, to: "other", deadline: deadline)])
                    #expect(state.takeEffects().departures.map(\.wire) == [1])
                    // An answer to what was before it would tell that it is not stuck.
                    let now = ContinuousClock.now
                    #expect(state.isStuck(0, at: now))
                    state.wires[0].answeredAt = now
                    #expect(!state.isStuck(0, at: now))
                }
            }
        }
    }

    @Test("a connection that is needed since the first is stuck is made, though the first has room")
    func stuckAndFree() throws {
        try open(2) { state in
            state.wires[0].isStarted = true
            state.wires[1].session = nil
            #expect(add(1, from: 0, to: &state).count == 1)
            state.wires[0].underWay[0].sentAt -= .seconds(1)
            let deadline = ContinuousClock.now + .seconds(30)
            state.add([append(1, to: "other", deadline: deadline)])
            #expect(state.takeEffects().starting == [1])
        }
    }

    @Test("behind a pooler one segment is under way, however far it is and however many wait")
    func pooler() throws {
        try open { state in
            state.wires[0].backendPID = nil
            state.pace.connected(way: .milliseconds(2))
            let first = try #require(add(1, from: 0, to: &state).first)
            #expect(add(100, from: 1, to: &state).isEmpty)
            #expect(answer(first, &state, after: .milliseconds(2.1)).count == 1)
            #expect(add(100, from: 101, to: &state).isEmpty)
        }
    }

    @Test("behind a pooler that is far away segments go side by side, each over a connection of its own")
    func farPooler() throws {
        for isFar in [false, true] {
            try open(2) { state in
                let session = state.wires[1].session
                (state.wires[0].isStarted, state.wires[1].session) = (true, nil)
                state.isBehindPooler = true
                for wire in 0..<2 { state.wires[wire].backendPID = nil }
                try show(isFar ? .milliseconds(2) : .zero, serving: .milliseconds(0.7), to: &state)
                #expect(add(1, from: 0, to: &state).count == 1)
                state.add([append(1, to: "s1", deadline: .now + .seconds(30))])
                // It is made where it is needed.
                let made = state.takeEffects()
                #expect(made.departures.isEmpty)
                #expect(made.starting == (isFar ? [1] : []))
                state.wires[1].session = session
                state.departOrLet(1)
                #expect(state.takeEffects().departures.map(\.wire) == (isFar ? [1] : []))
                #expect(add(100, from: 2, to: &state).isEmpty)
            }
        }
    }

    @Test("where it is far, many are cut into segments that are worth it, and those who are answered are waited for")
    func farAndMany() throws {
        try open { state in
            #expect(state.isGathering)
            try show(.milliseconds(2), serving: .milliseconds(0.7), to: &state)
            #expect(!state.isGathering)
            #expect(add(47, from: 0, to: &state).map(\.runs.count) == [47])
            #expect(!state.isGathering)
            #expect(add(49, from: 47, to: &state).map(\.runs.count) == [32, 17])
            #expect(state.isGathering)
        }
    }

    @Test("where commits are slow, it is tried whether more gets through over all connections")
    func slow() throws {
        try open(2) { state in
            // It is not known yet that they are slow.
            for segment in add(48, from: 0, to: &state) { _ = answer(segment, &state, after: .milliseconds(3)) }
            // One for the whole trial of one connection: the warm-up, and what is counted.
            for _ in 2..<64 {
                let segments = add(48, from: 0, to: &state)
                #expect(segments.map(\.runs.count) == [48])
                for segment in segments { _ = answer(segment, &state, after: .milliseconds(3)) }
            }
            let deadline = ContinuousClock.now + .seconds(30)
            state.add((0..<48).map { append($0, to: "s\($0)", deadline: deadline) })
            let departures = state.takeEffects().departures
            #expect(departures.map(\.wire) == [0, 1])
            #expect(departures.map(\.segment.runs.count) == [24, 24])
            // With one of them gone the other takes all.
            for departure in departures {
                let segment = departure.segment
                _ = state.takeOffTheWire(segment.id, of: departure.wire)
                state.resolve(state.queue.answered(segment.id, segment.runs.map { _ in .written(0) }))
            }
            state.wires[1].session = nil
            #expect(add(48, from: 0, to: &state).map(\.runs.count) == [48])
        }
    }

    @Test("the others are made for that, and until they are there the first takes all")
    func othersAreMade() throws {
        try open(3) { state in
            for wire in 1..<3 { state.wires[wire].session = nil }
            state.wires[0].isStarted = true
            var starting: [Int] = []
            while starting.isEmpty {
                for segment in add(48, from: 0, to: &state) {
                    starting += answered(segment, &state, after: .milliseconds(3)).starting
                }
            }
            #expect(starting == [1, 2])
            #expect(add(48, from: 0, to: &state).map(\.runs.count) == [48])
        }
    }

    @Test("what waits for a connection that may be stuck is looked at again, also while another one is being made")
    func connectingMeanwhile() throws {
        try open(3) { state in
            (state.wires[1].session, state.wires[1].isStarted) = (nil, true)
            #expect(add(48, from: 0, to: &state).count == 2)
            postpone(&state)
            #expect(add(1, from: 48, to: &state).isEmpty)
            let time = try #require(state.nextTime(of: 0))
            #expect(time < .now + .seconds(1))
            state.wires[0].underWay[0].sentAt -= .seconds(7200)
            state.lookAgain(at: time)
            #expect(state.takeEffects().departures.map(\.wire) == [2])
        }
    }
}
