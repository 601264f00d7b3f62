import Testing

@testable import PostgresStreams

/// When a segment waits for those who were just answered.
@Suite("Gathering")
struct GatheringTests {
    private static let start = ContinuousClock.now

    private func time(_ milliseconds: Double) -> ContinuousClock.Instant { Self.start + .milliseconds(milliseconds) }

    @Test("one who was answered alone is not waited for")
    func alone() {
        var gathering = Gathering()
        let waits = gathering.answered(1, before: 0, on: 0, roundTrip: .milliseconds(4), at: time(0))
        #expect(!waits)
        #expect(!gathering.isActive)
        #expect(gathering.added(1, at: time(0)).isEmpty)
    }

    @Test("one who was answered alone is waited for by others, so that they go together from then on")
    func others() {
        var gathering = Gathering()
        let waits = gathering.answered(1, before: 1, on: 0, roundTrip: .milliseconds(4), at: time(0))
        #expect(waits)
        #expect(gathering.end(of: 0) == time(2))
        #expect(gathering.added(1, at: time(1)) == [0])
        // Where nobody was answered nobody can come back.
        let waitsForNobody = gathering.answered(0, before: 9, on: 0, roundTrip: .milliseconds(4), at: time(2))
        #expect(!waitsForNobody)
    }

    @Test("the wire waits until all are back, and at most half of what a segment takes")
    func several() {
        var gathering = Gathering()
        let waits = gathering.answered(3, before: 0, on: 1, roundTrip: .milliseconds(4), at: time(10))
        #expect(waits)
        #expect(gathering.end(of: 1) == time(12))
        #expect(gathering.end(of: 0) == nil)
        #expect(gathering.added(1, at: time(0)).isEmpty)
        #expect(gathering.added(1, at: time(0)).isEmpty)
        #expect(gathering.added(1, at: time(0)) == [1])
        #expect(!gathering.isActive)
    }

    @Test("who comes back is counted for the wire that has waited longest")
    func twoLines() {
        var gathering = Gathering()
        _ = gathering.answered(2, before: 0, on: 0, roundTrip: .milliseconds(4), at: time(0))
        _ = gathering.answered(2, before: 0, on: 1, roundTrip: .milliseconds(4), at: time(0.5))
        #expect((0..<4).map { _ in gathering.added(1, at: time(0)) } == [[], [0], [], [1]])
    }

    @Test("many that come at once are counted for as many wires as they are enough for")
    func together() {
        var gathering = Gathering()
        _ = gathering.answered(2, before: 0, on: 0, roundTrip: .milliseconds(4), at: time(0))
        _ = gathering.answered(3, before: 0, on: 1, roundTrip: .milliseconds(4), at: time(0))
        #expect(gathering.added(3, at: time(0)) == [0])
        #expect(gathering.added(9, at: time(0)) == [1])
        #expect(gathering.added(1, at: time(0)).isEmpty)
    }

    @Test("a wire that is gone waits no longer, and the others do")
    func gone() {
        var gathering = Gathering()
        _ = gathering.answered(2, before: 0, on: 0, roundTrip: .milliseconds(4), at: time(0))
        _ = gathering.answered(2, before: 0, on: 1, roundTrip: .milliseconds(4), at: time(0))
        gathering.stop(0)
        #expect((0..<2).map { _ in gathering.added(1, at: time(0)) } == [[], [1]])
    }

    /// How long it waits after an answer at `begin`, and then `count` of the four who were answered come back.
    private func moment(_ gathering: inout Gathering, at begin: Double, back count: Int, after delay: Double)
        -> Duration
    {
        _ = gathering.answered(4, before: 0, on: 0, roundTrip: .milliseconds(8), at: time(begin))
        let moment = (gathering.end(of: 0) ?? time(0)) - time(begin)
        if moment < .milliseconds(delay) { gathering.expire(0, at: time(begin + delay)) }
        _ = gathering.added(count, at: time(begin + delay))
        return moment
    }

    @Test("where they do not come back the moment shrinks, and grows again when they do")
    func patience() {
        var gathering = Gathering()
        let gone = (0..<4).map { moment(&gathering, at: 10 * Double($0), back: 1, after: 9) }
        #expect(gone == [4, 2, 1, 0.5].map { .milliseconds($0) })
        let back = (4..<8).map { moment(&gathering, at: 10 * Double($0), back: 4, after: 0.1) }
        #expect(back == [0.25, 0.5, 1, 2].map { .milliseconds($0) })
    }

    @Test("whether they come back in time is seen though they are not waited for so long")
    func recovery() {
        var gathering = Gathering()
        for n in 0..<20 { _ = moment(&gathering, at: 10 * Double(n), back: 0, after: 9) }
        #expect(moment(&gathering, at: 200, back: 4, after: 1) == .milliseconds(4) / 64)
        let later = (21..<26).map { moment(&gathering, at: 10 * Double($0), back: 4, after: 1) }
        #expect(later.last == .milliseconds(2))
        // Three of four are enough, two are not, and too late is too late.
        #expect(moment(&gathering, at: 260, back: 3, after: 1.5) == .milliseconds(4))
        #expect(moment(&gathering, at: 270, back: 2, after: 1.5) == .milliseconds(4))
        #expect(moment(&gathering, at: 280, back: 4, after: 1.5) == .milliseconds(2))
        #expect(moment(&gathering, at: 290, back: 4, after: 4.5) == .milliseconds(4))
        #expect(moment(&gathering, at: 300, back: 4, after: 1) == .milliseconds(2))
    }

    @Test("those who come are counted first for the wire that waits for them")
    func overCountsLast() {
        var gathering = Gathering()
        _ = gathering.answered(2, before: 0, on: 0, roundTrip: .milliseconds(4), at: time(0))
        gathering.expire(0, at: time(2))
        _ = gathering.answered(2, before: 0, on: 1, roundTrip: .milliseconds(4), at: time(2))
        #expect(gathering.added(2, at: time(2.5)) == [1])
        #expect(!gathering.isActive)
        #expect(gathering.added(2, at: time(2.6)).isEmpty)
    }

    @Test("its time is not over before it is, nor another wire's")
    func expiry() {
        var gathering = Gathering()
        _ = gathering.answered(4, before: 0, on: 0, roundTrip: .milliseconds(8), at: time(0))
        gathering.expire(0, at: time(3))
        gathering.expire(1, at: time(100))
        #expect(gathering.isActive)
        gathering.expire(0, at: time(4))
        #expect(!gathering.isActive)
    }

    @Test("a slow server makes nobody wait longer than 5 ms")
    func bound() {
        var gathering = Gathering()
        _ = gathering.answered(2, before: 0, on: 0, roundTrip: .seconds(3), at: time(0))
        #expect(gathering.end(of: 0) == time(5))
    }
}
