import Testing

@testable import PostgresStreams

/// Who is let in, and when, as a transcript.
@Suite("Admission")
struct AdmissionQueueTests {
    private static let start = ContinuousClock.now

    private func time(_ seconds: Int) -> ContinuousClock.Instant { Self.start + .seconds(seconds) }

    @Test("as many are let in as there is room for; the rest in the order they came")
    func order() {
        var queue = AdmissionQueue(limit: 10)
        #expect(queue.enterAtOnce(4) != nil)
        #expect(queue.enterAtOnce(6) != nil)
        #expect(queue.enterAtOnce(1) == nil)
        let first = queue.wait(5, since: time(0))
        let second = queue.wait(1, since: time(0))
        let third = queue.wait(1, since: time(0))
        #expect(queue.leave(4).isEmpty)
        #expect(queue.leave(6) == [first, second, third])
        #expect(queue.admittedBytes == 7)
    }

    @Test("a small one does not overtake a large one that waits")
    func noOvertaking() {
        var queue = AdmissionQueue(limit: 10)
        #expect(queue.enterAtOnce(8) != nil)
        let large = queue.wait(9, since: time(0))
        #expect(queue.enterAtOnce(1) == nil)
        let small = queue.wait(1, since: time(0))
        #expect(queue.leave(8) == [large, small])
    }

    @Test("one larger than the limit is let in alone, and nobody beside it")
    func larger() {
        var queue = AdmissionQueue(limit: 10)
        #expect(queue.enterAtOnce(1) != nil)
        #expect(queue.enterAtOnce(25) == nil)
        let large = queue.wait(25, since: time(0))
        let small = queue.wait(1, since: time(0))
        #expect(queue.leave(1) == [large])
        #expect(queue.leave(25) == [small])
    }

    @Test("who withdraws from the front lets in those behind; from elsewhere, nobody; who is in cannot")
    func withdrawal() {
        var queue = AdmissionQueue(limit: 10)
        let inside = queue.enterAtOnce(6)
        let large = queue.wait(9, since: time(0))
        let second = queue.wait(2, since: time(0))
        let third = queue.wait(2, since: time(0))
        let fourth = queue.wait(9, since: time(0))
        #expect(queue.withdraw(second) == [])
        #expect(queue.withdraw(second) == nil)
        #expect(inside.flatMap { queue.withdraw($0) } == nil)
        #expect(queue.withdraw(large) == [third])
        #expect(queue.admittedBytes == 8)
        #expect(queue.leave(6).isEmpty)
        #expect(queue.leave(2) == [fourth])
    }

    @Test("those that waited too long are given up, the others stay")
    func patience() {
        var queue = AdmissionQueue(limit: 10)
        #expect(queue.enterAtOnce(10) != nil)
        let first = queue.wait(1, since: time(0))
        let second = queue.wait(1, since: time(5))
        let third = queue.wait(1, since: time(6))
        #expect(queue.giveUp(waitingSince: time(5)) == [first, second])
        #expect(queue.giveUp(waitingSince: time(5)).isEmpty)
        #expect(queue.leave(10) == [third])
        #expect(queue.giveUpAll().isEmpty)
    }
}
