import Testing

@testable import PostgresStreams

@Suite("The pause between reads for many tails")
struct TailPauseTests {
    private let start = ContinuousClock.now
    private var pause = TailPause()

    /// A read of `streams` streams with up to 25 events of each, that begins after `begin` and takes `duration`.
    private mutating func read(
        _ count: Int,
        of streams: Int = 64,
        at begin: Duration = .zero,
        taking duration: Duration = .milliseconds(1),
        isAll: Bool = true
    ) -> Duration? {
        pause.after(
            [Int](repeating: count, count: streams),
            of: [Int](repeating: 25, count: streams),
            isAll: isAll,
            from: start + begin,
            to: start + begin + duration
        )
    }

    @Test("is 19 times what the read took, and no more than 20 ms")
    mutating func lasts() {
        #expect(read(1, taking: .microseconds(500)) == .microseconds(9500))
        pause = TailPause()
        #expect(read(1, taking: .milliseconds(5)) == .milliseconds(20))
    }

    @Test("ends before a page is more than half full, by what came since the last read")
    mutating func ends() throws {
        _ = read(1)
        // 20 events in 20 ms: half of 25 are there after 12.5 ms, of which the read took one.
        let next = try #require(read(20, at: .milliseconds(20)))
        #expect(abs(next / .milliseconds(1) - 11.5) < 0.001)
        #expect(read(2, at: .milliseconds(40)) == .milliseconds(19))
        // 12 events within 2 ms: the next page is half full when the read is over.
        #expect(read(12, at: .milliseconds(42), taking: .milliseconds(3)) == nil)
    }

    @Test("there is none for few, where few moved, where one fell behind, and while others wait to be read")
    mutating func isLeftOut() {
        #expect(read(1, of: 15) == nil)
        #expect(read(0) == nil)
        #expect(read(25) == nil)
        #expect(read(1, isAll: false) == nil)
    }

    @Test("reads of few in between do not count as reads of what the many wrote")
    mutating func isOfTheMany() {
        _ = read(1)
        _ = read(1, of: 1, at: .milliseconds(19))
        #expect(read(10, at: .milliseconds(20)) == .milliseconds(19))
    }
}
