import Testing

@testable import LibPQ

@Suite struct BusyWaitTests {
    private let start = ContinuousClock.now

    private func time(_ microseconds: Int) -> ContinuousClock.Instant { start + .microseconds(microseconds) }

    @Test func asleepAtFirst() {
        var wait = BusyWait(limit: .microseconds(500))
        #expect(wait.end(at: time(0)) == nil)
    }

    @Test func awakeFromAnswerToAnswer() {
        var wait = BusyWait(limit: .microseconds(500))
        for answer in 0..<100 {
            wait.expectAnother(at: time(answer * 300))
            #expect(wait.end(at: time(answer * 300 + 299)) == time(answer * 300 + 500))
        }
    }

    @Test func onlyForAMoment() {
        var wait = BusyWait(limit: .microseconds(500))
        wait.expectAnother(at: time(0))
        #expect(wait.end(at: time(499)) == time(500))
        #expect(wait.end(at: time(500)) == nil)
        #expect(wait.end(at: time(501)) == nil)
    }

    /// How many of so many answers, each later than the limit, it stays awake after.
    private func vain(_ wait: inout BusyWait, answers: Int) -> Int {
        (0..<answers).count { answer in
            wait.expectAnother(at: time(answer * 1000))
            let isAwake = wait.end(at: time(answer * 1000)) != nil
            // It is not asked again before it is told: the thread sleeps from then on.
            return isAwake
        }
    }

    @Test func seldomWhereItIsInVain() {
        var wait = BusyWait(limit: .microseconds(500))
        // After 0, 2, 4, 8, 16, 32, and then 64 that are slept through.
        #expect(vain(&wait, answers: 1 + 3 + 5 + 9 + 17 + 33) == 6)
        #expect(vain(&wait, answers: 65 * 10) == 10)
    }

    @Test func againOnceItPays() {
        var wait = BusyWait(limit: .microseconds(500))
        _ = vain(&wait, answers: 1000)
        var awake = 0
        for answer in 0..<1000 {
            let now = 1_000_000 + answer * 300
            wait.expectAnother(at: time(now))
            if wait.end(at: time(now + 1)) != nil { awake += 1 }
        }
        #expect(awake >= 1000 - 64)
        // A single late one costs two more, not what was before.
        #expect(vain(&wait, answers: 4) == 2)
    }

    @Test func notAtAllWithoutLimit() {
        for limit in [Duration.zero, .milliseconds(-1)] {
            var wait = BusyWait(limit: limit)
            wait.expectAnother(at: time(0))
            #expect(wait.end(at: time(0)) == nil)
        }
    }

    @Test func noLimitIsTooLarge() {
        var wait = BusyWait(limit: .seconds(Int64.max))
        wait.expectAnother(at: time(0))
        #expect(wait.end(at: time(0)) == time(1_000_000))
    }
}
