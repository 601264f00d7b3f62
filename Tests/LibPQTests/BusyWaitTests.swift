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
            wait.expectAnother(at: now)
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
            wait.expectAnother(at: time(answer * 300))
            #expect(wait.end(at: time(answer * 300 + 299)) == time(answer * 300 + 500))
        }
    }

    @Test("only for a moment")
    func moment() {
        var wait = BusyWait(limit: .microseconds(500))
        wait.expectAnother(at: time(0))
        #expect(wait.end(at: time(499)) == time(500))
        #expect(wait.end(at: time(500)) == nil)
        #expect(wait.end(at: time(501)) == nil)
    }

    @Test("seldom where it is in vain, whether or not it is asked between the answers")
    func inVain() {
        var wait = BusyWait(limit: .microseconds(500))
        // The first; then one after 4, one after 16, and from then on one after 64.
        #expect(awake(&wait, answers: 1 + 4 + 16, every: 1000) == 3 - 1)
        #expect(awake(&wait, answers: 64 * 10, every: 1000, from: 21_000) == 10)
        for answer in 0..<640 {
            wait.expectAnother(at: time(661_000 + answer * 1000))
            _ = wait.end(at: time(661_000 + answer * 1000 + 999))
        }
        #expect(awake(&wait, answers: 64 * 10, every: 1000, from: 1_301_000) == 10)
    }

    @Test("seldom where every other answer comes too late")
    func halfInVain() {
        var wait = BusyWait(limit: .microseconds(500))
        var count = 0
        var now = 0
        for answer in 0..<10_000 {
            now += answer.isMultiple(of: 2) ? 400 : 1000
            wait.expectAnother(at: time(now))
            if wait.end(at: time(now)) != nil { count += 1 }
        }
        #expect(count < 1000)
    }

    @Test("mostly where one answer in ten comes too late")
    func seldomInVain() {
        var wait = BusyWait(limit: .microseconds(500))
        var count = 0
        var now = 0
        for answer in 0..<10_000 {
            now += answer.isMultiple(of: 10) ? 1000 : 400
            wait.expectAnother(at: time(now))
            if wait.end(at: time(now)) != nil { count += 1 }
        }
        #expect(count > 5000)
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
        wait.expectAnother(at: time(0))
        wait.interrupted(for: .microseconds(200))
        #expect(wait.end(at: time(1)) == nil)
        #expect(awake(&wait, answers: 5, every: 300, from: 300) == 1)
        wait.interrupted(for: .milliseconds(50))
        #expect(awake(&wait, answers: 64, every: 300, from: 2_000_000) == 0)
        #expect(awake(&wait, answers: 100, every: 300, from: 2_019_200) == 100)
    }

    @Test("hardly where the processor is taken away again and again, as where its use is limited")
    func limited() {
        var wait = BusyWait(limit: .microseconds(500))
        var count = 0
        for answer in 0..<100_000 {
            wait.expectAnother(at: time(answer * 300))
            guard wait.end(at: time(answer * 300)) != nil else { continue }
            count += 1
            if count.isMultiple(of: 100) { wait.interrupted(for: .milliseconds(60)) }
        }
        #expect(count < 5000)
        // Seldom enough, it does not matter.
        var seldom = BusyWait(limit: .microseconds(500))
        count = 0
        for answer in 0..<100_000 {
            seldom.expectAnother(at: time(answer * 300))
            guard seldom.end(at: time(answer * 300)) != nil else { continue }
            count += 1
            if count.isMultiple(of: 1000) { seldom.interrupted(for: .milliseconds(60)) }
        }
        #expect(count > 90_000)
    }

    @Test("not at all without a limit")
    func off() {
        for limit in [Duration.zero, .milliseconds(-1)] {
            var wait = BusyWait(limit: limit)
            wait.expectAnother(at: time(0))
            #expect(wait.end(at: time(0)) == nil)
        }
    }
}
