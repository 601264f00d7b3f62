import Testing

@testable import PostgresStreams

/// What is said of notifications that fail, on a clock of its own.
@Suite("Trouble with notifications")
struct AnnouncementTroubleTests {
    private var trouble = AnnouncementTrouble()
    private let begin = ContinuousClock.now

    private mutating func fails(_ state: String?, at seconds: Double) -> AnnouncementTrouble.Saying? {
        trouble.failed(state, at: begin + .seconds(seconds))
    }

    @Test("the first failure is said, then one a minute at most with how many there were, then that it works again")
    mutating func minute() {
        #expect(trouble.succeeded() == nil)
        #expect(fails("42501", at: 0) == .fails(count: 1))
        for n in 1..<600 { #expect(fails("42501", at: Double(n) / 10) == nil) }
        #expect(fails("42501", at: 60) == .fails(count: 600))
        #expect(fails("42501", at: 61) == nil)
        #expect(trouble.succeeded() == .worksAgain)
        #expect(trouble.succeeded() == nil)
    }

    @Test("another reason is said at once, and two that take turns are not said each time")
    mutating func reasons() {
        #expect(fails("42501", at: 0) == .fails(count: 1))
        #expect(fails(nil, at: 1) == .fails(count: 1))
        for n in 2..<50 { #expect(fails(n.isMultiple(of: 2) ? "42501" : nil, at: Double(n)) == nil) }
        #expect(fails("54000", at: 50) == .fails(count: 1))
    }

    @Test("what fails now and then is said once a minute, and that it works again as often")
    mutating func nowAndThen() {
        #expect(fails("54000", at: 0) == .fails(count: 1))
        #expect(trouble.succeeded() == .worksAgain)
        for n in 1..<60 {
            #expect(fails("54000", at: Double(n)) == nil)
            #expect(trouble.succeeded() == nil)
        }
        #expect(fails("54000", at: 60) == .fails(count: 60))
        #expect(trouble.succeeded() == .worksAgain)
    }

    @Test("what failed unsaid is counted in that reason's next line, whatever was said meanwhile")
    mutating func keptCount() {
        #expect(fails("42501", at: 0) == .fails(count: 1))
        #expect(fails("42501", at: 10) == nil)
        #expect(fails(nil, at: 100) == .fails(count: 1))
        #expect(fails("42501", at: 200) == .fails(count: 2))
    }

    @Test("a failure long after the last is a new one")
    mutating func later() {
        #expect(fails("54000", at: 0) == .fails(count: 1))
        #expect(fails(nil, at: 0) == .fails(count: 1))
        #expect(fails("42501", at: 3600) == .fails(count: 1))
        #expect(fails("54000", at: 3601) == .fails(count: 1))
    }
}
