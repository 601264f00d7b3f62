import Testing

@testable import PostgresStreams

@Suite("When a link connects again")
struct ReconnectionTests {
    private let start = ContinuousClock.now

    /// What the pause is at most after so many attempts, whose sessions lived so long and took so long to get; nil: there was
    /// none.
    private func longestPause(_ attempts: Int, lived: Duration?, took: Duration) -> Duration {
        var longest = Duration.zero
        for _ in 0..<20 {
            var reconnection = Reconnection()
            for _ in 0..<attempts {
                reconnection.began(at: start)
                if lived != nil { reconnection.succeeded(at: start + took) }
                reconnection.ended(at: start + took + (lived ?? .zero))
            }
            longest = max(longest, reconnection.pause)
        }
        return longest
    }

    @Test("the first time at once, then later and later while there is none")
    func noSession() {
        #expect(Reconnection().pause == .zero)
        #expect(longestPause(1, lived: nil, took: .milliseconds(1)) <= .milliseconds(50))
        #expect(longestPause(10, lived: nil, took: .milliseconds(1)) > .seconds(2))
    }

    @Test("soon after a session that lived for longer than it took to get, later and later after others")
    func sessions() {
        #expect(longestPause(10, lived: .milliseconds(30), took: .milliseconds(20)) <= .milliseconds(50))
        #expect(longestPause(10, lived: .milliseconds(10), took: .milliseconds(20)) > .seconds(2))
    }

    @Test("one that never was does not live on as the last that was")
    func forgotten() {
        var reconnection = Reconnection()
        reconnection.began(at: start)
        reconnection.succeeded(at: start)
        for _ in 0..<10 {
            reconnection.ended(at: start + .seconds(1))
            reconnection.began(at: start + .seconds(1))
        }
        #expect(reconnection.pause > .milliseconds(2000))
    }
}
