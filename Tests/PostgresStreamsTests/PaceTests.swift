import Testing

@testable import PostgresStreams

/// What segments take, and what follows from it.
@Suite("Pace")
struct PaceTests {
    @Test("two that share the wire take half of what each is on it")
    func shared() {
        var pace = Pace()
        pace.answered(after: .milliseconds(2), sharedBy: 2)
        #expect(!pace.isSlow)
        // What one is on the wire is the whole time all the same.
        #expect(pace.roundTrip == .milliseconds(2))
        pace = Pace()
        pace.answered(after: .milliseconds(4), sharedBy: 2)
        #expect(pace.isSlow)
    }

    @Test("segments that take long are slow, those that take little are not, and it is the average that counts")
    func slow() {
        var pace = Pace()
        #expect(!pace.isSlow)
        pace.answered(after: .milliseconds(1), sharedBy: 1)
        pace.answered(after: .milliseconds(5), sharedBy: 1)
        #expect(!pace.isSlow)
        for _ in 0..<10 { pace.answered(after: .milliseconds(5), sharedBy: 1) }
        #expect(pace.isSlow)
    }

    @Test("a long way is not a slow server: it has time for another segment meanwhile")
    func far() {
        var pace = Pace()
        pace.way = .milliseconds(3)
        pace.answered(after: .milliseconds(3.5), sharedBy: 1)
        #expect(!pace.isSlow)
        #expect(pace.isFar)
        for _ in 0..<20 { pace.answered(after: .milliseconds(8), sharedBy: 1) }
        #expect(pace.isSlow)
        #expect(!pace.isFar)
    }

    @Test("an answer quicker than the way was when it was measured is no less than at once")
    func quicker() {
        var pace = Pace()
        pace.way = .milliseconds(9)
        pace.answered(after: .milliseconds(1), sharedBy: 1)
        #expect(pace.roundTrip == .milliseconds(1))
        #expect(!pace.isSlow)
    }
}
