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
        let waits = gathering.answered(1, on: 0, after: .milliseconds(4), isLast: true, at: time(0))
        #expect(!waits)
        #expect(!gathering.isActive)
        #expect(gathering.added(1).isEmpty)
    }

    @Test("the line waits until all are back, and at most a quarter of what a segment takes")
    func several() {
        var gathering = Gathering()
        let waits = gathering.answered(3, on: 1, after: .milliseconds(4), isLast: true, at: time(10))
        #expect(waits)
        #expect(gathering.end(of: 1) == time(11))
        #expect(gathering.end(of: 0) == nil)
        #expect(gathering.added(1).isEmpty)
        #expect(gathering.added(1).isEmpty)
        #expect(gathering.added(1) == [1])
        #expect(!gathering.isActive)
    }

    @Test("segments that take long are slow, those that take little are not, and it is the average that counts")
    func slow() {
        var gathering = Gathering()
        #expect(!gathering.isSlow)
        _ = gathering.answered(2, on: 0, after: .milliseconds(1), isLast: true, at: time(0))
        _ = gathering.answered(2, on: 0, after: .milliseconds(5), isLast: true, at: time(5))
        #expect(!gathering.isSlow)
        for n in 0..<10 {
            _ = gathering.answered(2, on: 0, after: .milliseconds(5), isLast: true, at: time(Double(10 + 5 * n)))
        }
        #expect(gathering.isSlow)
    }

    @Test("who comes back is counted for the line that has waited longest")
    func twoLines() {
        var gathering = Gathering()
        _ = gathering.answered(2, on: 0, after: .milliseconds(4), isLast: true, at: time(0))
        _ = gathering.answered(2, on: 1, after: .milliseconds(4), isLast: true, at: time(0.5))
        #expect((0..<4).map { _ in gathering.added(1) } == [[], [0], [], [1]])
    }

    @Test("many that come at once are counted for as many lines as they are enough for")
    func together() {
        var gathering = Gathering()
        _ = gathering.answered(2, on: 0, after: .milliseconds(4), isLast: true, at: time(0))
        _ = gathering.answered(3, on: 1, after: .milliseconds(4), isLast: true, at: time(0))
        #expect(gathering.added(3) == [0])
        #expect(gathering.added(9) == [1])
        #expect(gathering.added(1).isEmpty)
    }

    @Test("while the server has another segment of the line to work on, there is twice the time")
    func notLast() {
        var gathering = Gathering()
        _ = gathering.answered(2, on: 0, after: .milliseconds(4), isLast: false, at: time(0))
        #expect(gathering.end(of: 0) == time(2))
    }

    @Test("a line that is gone waits no longer, and the others do")
    func gone() {
        var gathering = Gathering()
        _ = gathering.answered(2, on: 0, after: .milliseconds(4), isLast: true, at: time(0))
        _ = gathering.answered(2, on: 1, after: .milliseconds(4), isLast: true, at: time(0))
        gathering.stop(0)
        #expect((0..<2).map { _ in gathering.added(1) } == [[], [1]])
    }

    @Test("where they do not come back the moment shrinks, and grows again when they do")
    func patience() {
        var gathering = Gathering()
        var moments: [Duration] = []
        for _ in 0..<4 {
            _ = gathering.answered(4, on: 0, after: .milliseconds(8), isLast: true, at: time(0))
            moments.append((gathering.end(of: 0) ?? time(0)) - time(0))
            gathering.expire(0, at: time(100))
            #expect(!gathering.isActive)
        }
        #expect(moments == [2, 1, 0.5, 0.25].map { .milliseconds($0) })
        for _ in 0..<2 {
            _ = gathering.answered(2, on: 0, after: .milliseconds(8), isLast: true, at: time(0))
            _ = gathering.added(1)
            #expect(gathering.added(1) == [0])
        }
        _ = gathering.answered(2, on: 0, after: .milliseconds(8), isLast: true, at: time(0))
        #expect(gathering.end(of: 0) == time(0.5))
    }

    @Test("its time is not over before it is, nor another line's")
    func expiry() {
        var gathering = Gathering()
        _ = gathering.answered(4, on: 0, after: .milliseconds(8), isLast: true, at: time(0))
        gathering.expire(0, at: time(1))
        gathering.expire(1, at: time(100))
        #expect(gathering.isActive)
        gathering.expire(0, at: time(2))
        #expect(!gathering.isActive)
    }

    @Test("a slow server makes nobody wait longer than 5 ms")
    func bound() {
        var gathering = Gathering()
        _ = gathering.answered(2, on: 0, after: .seconds(3), isLast: true, at: time(0))
        #expect(gathering.end(of: 0) == time(5))
    }
}
