import Testing

@testable import PostgresStreams

@Suite("Over how many connections slow commits go")
struct SpreadTests {
    /// Answers one segment after the other, and counts how they went.
    private struct Server {
        var spread = Spread()
        var now = ContinuousClock.now
        /// What each answer takes when they go over one connection, and over all.
        let one: Duration
        let all: Duration
        var areAllOpen = true
        var wide = 0
        var narrow = 0

        init(one: Duration, all: Duration) { (self.one, self.all) = (one, all) }

        mutating func answer(_ count: Int) {
            for _ in 0..<count {
                if spread.isWide { wide += 1 } else { narrow += 1 }
                now += spread.isWide ? all : one
                spread.answered(32, areAllOpen: areAllOpen, at: now)
            }
        }
    }

    /// Until both have been tried: the answer that begins a trial, and those that are counted, after the warm-up.
    private static let trials = 2 * (8 + 32)

    @Test("all connections are kept where they get more through")
    func sideBySide() {
        var server = Server(one: .milliseconds(3), all: .milliseconds(1.5))
        server.answer(Self.trials)
        #expect(server.spread.isWide)
        server.answer(1000)
        #expect(server.spread.isWide)
    }

    @Test("one is kept where one commit waits for the other")
    func oneAfterTheOther() {
        var server = Server(one: .milliseconds(3), all: .milliseconds(3))
        server.answer(Self.trials)
        #expect(!server.spread.isWide)
        #expect(server.wide == Self.trials / 2)
        // The trials cost little: of all answers a few in a hundred.
        server.answer(20_000)
        #expect(server.wide * 100 < server.narrow * 5)
    }

    @Test("what changes is noticed")
    func change() {
        var server = Server(one: .milliseconds(3), all: .milliseconds(1.5))
        server.answer(Self.trials)
        var changed = Server(one: .milliseconds(2), all: .milliseconds(3))
        (changed.spread, changed.now) = (server.spread, server.now)
        changed.answer(1024 + Self.trials)
        #expect(!changed.spread.isWide)
    }

    @Test("what was measured with a connection missing does not count")
    func missing() {
        var server = Server(one: .milliseconds(3), all: .milliseconds(1.5))
        server.areAllOpen = false
        server.answer(Self.trials)
        #expect(!server.spread.isWide)
        server.areAllOpen = true
        server.answer(1024 + Self.trials)
        #expect(server.spread.isWide)
    }

    @Test("larger segments count for more")
    func sizes() {
        var spread = Spread()
        var now = ContinuousClock.now
        for _ in 0..<Self.trials {
            now += .milliseconds(3)
            // Over all connections each carries half, in the same time.
            spread.answered(spread.isWide ? 32 : 64, areAllOpen: true, at: now)
        }
        #expect(!spread.isWide)
    }
}
