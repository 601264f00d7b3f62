import Testing

@testable import PostgresStreams

/// What segments take, and what follows from it.
@Suite("Pace")
struct PaceTests {
    private let start = ContinuousClock.now

    /// One that was sent when nothing was under way.
    private func answered(_ pace: inout Pace, after duration: Duration) {
        pace.answered(sentAt: start, after: nil, at: start + duration)
    }

    @Test("what one that is behind another waits for it is not what the server takes for it")
    func behindAnother() {
        var pace = Pace()
        pace.answered(sentAt: start, after: start + .milliseconds(3), at: start + .milliseconds(4))
        #expect(!pace.isSlow)
        // What one is on the wire is the whole time all the same.
        #expect(pace.roundTrip == .milliseconds(4))
        pace = Pace()
        pace.answered(sentAt: start, after: start + .milliseconds(1), at: start + .milliseconds(4))
        #expect(pace.isSlow)
    }

    @Test("segments that take long are slow, those that take little are not, and it is the average that counts")
    func slow() {
        var pace = Pace()
        #expect(!pace.isSlow)
        answered(&pace, after: .milliseconds(1))
        answered(&pace, after: .milliseconds(5))
        #expect(!pace.isSlow)
        for _ in 0..<10 { answered(&pace, after: .milliseconds(5)) }
        #expect(pace.isSlow)
    }

    @Test("a long way is not a slow server: it has time for other segments meanwhile")
    func far() {
        var pace = Pace()
        pace.connected(way: .milliseconds(3))
        #expect(pace.window == 1)
        answered(&pace, after: .milliseconds(3.5))
        #expect(!pace.isSlow)
        #expect(pace.isFar)
        #expect(pace.window == 7)
        // Of five that are under way together, the server is at work all the time: it is no slower for that.
        for number in 1...5 {
            let before = number == 1 ? nil : start + .milliseconds(3 + 0.5 * Double(number - 1))
            pace.answered(sentAt: start, after: before, at: start + .milliseconds(3 + 0.5 * Double(number)))
            #expect(pace.window == 7)
        }
        // However far it is, one that takes longer than the way has enough to do.
        for _ in 0..<20 { answered(&pace, after: .milliseconds(8)) }
        #expect(pace.isSlow)
        #expect(!pace.isFar)
    }

    @Test("what it takes is not less for being far away")
    func farAndSlow() {
        var pace = Pace()
        pace.connected(way: .milliseconds(40))
        for _ in 0..<60 { answered(&pace, after: .milliseconds(140)) }
        #expect(pace.isSlow)
        #expect(pace.window == 1)
    }

    @Test("one that had to wait for a lock for long does not make a server slow")
    func waitingForALock() {
        var pace = Pace()
        for _ in 0..<10 { answered(&pace, after: .milliseconds(0.2)) }
        answered(&pace, after: .seconds(1))
        #expect(!pace.isSlow)
    }

    @Test("of several connections the shortest way counts, and of none that is left another one's")
    func connections() {
        var pace = Pace()
        pace.connected(way: .milliseconds(2), isFirst: true)
        pace.connected(way: .milliseconds(9), isFirst: false)
        #expect(pace.way == .milliseconds(2))
        pace.connected(way: .milliseconds(5), isFirst: true)
        #expect(pace.way == .milliseconds(5))
    }

    @Test("there is an end to how many are under way, and what is near is near, however quick it is")
    func window() {
        var pace = Pace()
        pace.connected(way: .milliseconds(3))
        answered(&pace, after: .milliseconds(3.001))
        #expect(pace.window == Pace.mostUnderWay)
        pace = Pace()
        pace.connected(way: .microseconds(250))
        answered(&pace, after: .microseconds(260))
        #expect(pace.window == 1)
        #expect(!pace.isFar)
    }

    @Test("an answer quicker than the way was when it was measured is no less than at once, and puts the way right")
    func quicker() {
        var pace = Pace()
        pace.connected(way: .milliseconds(9))
        answered(&pace, after: .milliseconds(1))
        #expect(pace.roundTrip == .milliseconds(1))
        #expect(!pace.isSlow)
        #expect(pace.way == .milliseconds(1))
        for _ in 0..<30 { answered(&pace, after: .milliseconds(1.5)) }
        #expect(pace.isFar)
    }
}
