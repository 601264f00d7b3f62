import Testing

@testable import LibPQ

@Suite("Whether a session's thread stays awake")
struct BusyWaitTests {
    private let start = ContinuousClock.now

    private func time(_ microseconds: Int) -> ContinuousClock.Instant { start + .microseconds(microseconds) }

    /// Answers so many batches, one every so many microseconds, and counts after how many of them it stays awake.
    private func awake(_ wait: inout BusyWait, answers: Int, every interval: Int, from begin: Int = 0) -> Int {
        (0..<answers).count { answer in
            let now = time(begin + answer * interval)
            wait.expect(at: now)
            return wait.end(at: now) != nil
        }
    }

    @Test("not before an answer")
    func asleepAtFirst() {
        var wait = BusyWait(limit: .microseconds(500))
        #expect(wait.end(at: time(0)) == nil)
    }

    @Test("from answer to answer")
    func always() {
        var wait = BusyWait(limit: .microseconds(500))
        for answer in 0..<100 {
            wait.expect(at: time(answer * 300))
            #expect(wait.end(at: time(answer * 300 + 299)) == time(answer * 300 + 500))
        }
    }

    @Test("only for a moment")
    func moment() {
        var wait = BusyWait(limit: .microseconds(500))
        wait.expect(at: time(0))
        #expect(wait.end(at: time(499)) == time(500))
        #expect(wait.end(at: time(500)) == nil)
        #expect(wait.end(at: time(501)) == nil)
    }

    @Test("as long as that, and what the thread did in between does not count")
    func resumed() {
        var wait = BusyWait(limit: .microseconds(500))
        for answer in 0..<100 {
            let now = answer * 5000
            wait.expect(at: time(now))
            wait.resumed(from: time(now + 100), at: time(now + 2100))
            #expect(wait.end(at: time(now + 2499)) == time(now + 2500))
            wait.met(at: time(now + 2499))
        }
        wait.expect(at: time(1_000_000))
        // Its moment was over before.
        wait.resumed(from: time(1_000_600), at: time(1_000_700))
        #expect(wait.end(at: time(1_000_700)) == nil)
    }

    @Test("not once it has come, where nothing else is expected; and that pays")
    func met() {
        var wait = BusyWait(limit: .microseconds(500))
        for question in 0..<100 {
            wait.asked(at: time(question * 5000))
            #expect(wait.end(at: time(question * 5000 + 80)) != nil)
            wait.met(at: time(question * 5000 + 81))
            #expect(wait.end(at: time(question * 5000 + 81)) == nil)
        }
        // What comes too late does not pay: 4 are slept through, then 16.
        for question in 0..<(1 + 4 + 16) {
            let now = 1_000_000 + question * 5000
            wait.asked(at: time(now))
            #expect((wait.end(at: time(now)) != nil) == [0, 5].contains(question))
            wait.met(at: time(now + 501))
        }
    }

    @Test("from the first of two questions, and the answer to the second is no answer to the first")
    func twoQuestions() {
        var wait = BusyWait(limit: .microseconds(500))
        wait.asked(at: time(0))
        wait.asked(at: time(300))
        #expect(wait.end(at: time(300)) == time(500))
        #expect(wait.end(at: time(500)) == nil)
    }

    @Test("seldom where it is in vain, whether or not it is asked between the answers")
    func inVain() {
        var wait = BusyWait(limit: .microseconds(500))
        // After the first; then 4 are slept through, then 16, and from then on 64.
        #expect(awake(&wait, answers: 1 + 4 + 16, every: 1000) == 2)
        #expect(awake(&wait, answers: 64 * 10, every: 1000, from: 21_000) == 10)
        for answer in 0..<640 {
            wait.expect(at: time(661_000 + answer * 1000))
            _ = wait.end(at: time(661_000 + answer * 1000 + 999))
        }
        #expect(awake(&wait, answers: 64 * 10, every: 1000, from: 1_301_000) == 10)
    }

    /// The same, where one in so many answers comes too late.
    private func awake(lateOneIn count: Int) -> Int {
        var wait = BusyWait(limit: .microseconds(500))
        var now = 0
        return (0..<10_000).count { answer in
            now += answer.isMultiple(of: count) ? 1000 : 400
            wait.expect(at: time(now))
            return wait.end(at: time(now)) != nil
        }
    }

    @Test("seldom where every other answer comes too late, mostly where one in ten does")
    func partlyInVain() {
        #expect(awake(lateOneIn: 2) < 1000)
        #expect(awake(lateOneIn: 10) > 5000)
    }

    @Test("again once it pays")
    func again() {
        var wait = BusyWait(limit: .microseconds(500))
        _ = awake(&wait, answers: 1000, every: 1000)
        #expect(awake(&wait, answers: 1000, every: 300, from: 1_000_000) >= 1000 - 64)
    }

    @Test("not while somebody else wants the processor, and not for long after it was taken away")
    func interrupted() {
        var wait = BusyWait(limit: .microseconds(500))
        wait.expect(at: time(0))
        wait.interrupted(for: .microseconds(200))
        #expect(wait.end(at: time(1)) == nil)
        #expect(awake(&wait, answers: 5, every: 300, from: 300) == 1)
        wait.interrupted(for: .milliseconds(50))
        #expect(awake(&wait, answers: 64, every: 300, from: 2_000_000) == 0)
        #expect(awake(&wait, answers: 100, every: 300, from: 2_019_200) == 100)
    }

    /// The same, where it is taken away each time after so many.
    private func awake(takenAwayAfter interval: Int) -> Int {
        var wait = BusyWait(limit: .microseconds(500))
        var count = 0
        for answer in 0..<100_000 {
            wait.expect(at: time(answer * 300))
            guard wait.end(at: time(answer * 300)) != nil else { continue }
            count += 1
            if count.isMultiple(of: interval) { wait.interrupted(for: .milliseconds(60)) }
        }
        return count
    }

    @Test("hardly where the processor is taken away again and again, as where its use is limited")
    func limited() {
        #expect(awake(takenAwayAfter: 100) < 5000)
        #expect(awake(takenAwayAfter: 1000) > 90_000)
    }

    @Test("not at all without a limit")
    func off() {
        for limit in [Duration.zero, .milliseconds(-1)] {
            var wait = BusyWait(limit: limit)
            wait.expect(at: time(0))
            #expect(wait.end(at: time(0)) == nil)
        }
    }
}
