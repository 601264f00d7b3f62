import Testing

@testable import PostgresStreams

@Suite("Over how many connections slow commits go")
struct SpreadTests {
    /// Answers one segment after the other, and counts how they went.
    private struct Server {
        var spread = Spread()
        var now = ContinuousClock.now
        /// What each answer takes, and how many appends it answers, when they go over one connection and over all.
        var one = Duration.milliseconds(3)
        var all = Duration.milliseconds(3)
        var sizeOfOne = 32
        var sizeOfAll = 32
        var areAllOpen = true
        /// What passes after an answer before the next segment is sent.
        var idle = Duration.zero
        var wide = 0
        var narrow = 0

        mutating func answer(_ count: Int) {
            for _ in 0..<count {
                if spread.isWide { wide += 1 } else { narrow += 1 }
                now += idle
                let begin = now
                now += spread.isWide ? all : one
                spread.answered(
                    spread.isWide ? sizeOfAll : sizeOfOne,
                    sinceSending: begin,
                    pause: .milliseconds(1.5),
                    areAllOpen: areAllOpen,
                    at: now
                )
            }
        }
    }

    /// Until both have been tried: the warm-up, and what is counted.
    private static let trials = 2 * (16 + 48)
    private static let term = 2048

    @Test("all connections are kept where they get more through")
    func sideBySide() {
        var server = Server(all: .milliseconds(1.5))
        server.answer(Self.trials)
        #expect(server.spread.isWide)
        server.answer(Self.term - 1)
        #expect(server.spread.isWide)
    }

    @Test("one is kept where one commit waits for the other")
    func oneAfterTheOther() {
        var server = Server()
        server.answer(Self.trials)
        #expect(!server.spread.isWide)
        #expect(server.wide == Self.trials / 2)
        // The trials cost little: of all answers a few in a hundred.
        server.answer(20_000)
        #expect(server.wide * 100 < server.narrow * 5)
    }

    @Test("a little more is not worth it")
    func gain() {
        var little = Server(all: .microseconds(2900))
        little.answer(Self.trials)
        #expect(!little.spread.isWide)
        var enough = Server(all: .microseconds(2800))
        enough.answer(Self.trials)
        #expect(enough.spread.isWide)
    }

    @Test("what counts is how many appends get through")
    func sizes() {
        var smaller = Server(all: .milliseconds(2), sizeOfOne: 64)
        smaller.answer(Self.trials)
        #expect(!smaller.spread.isWide)
        var larger = Server(all: .milliseconds(4), sizeOfAll: 64)
        larger.answer(Self.trials)
        #expect(larger.spread.isWide)
    }

    @Test("what changes is noticed")
    func change() {
        var server = Server(all: .milliseconds(1.5))
        server.answer(Self.trials)
        server.one = .milliseconds(1)
        server.answer(Self.term + Self.trials)
        #expect(!server.spread.isWide)
    }

    @Test("the time when nobody appends says nothing; that in which callers come back does")
    func idle() {
        var server = Server(all: .milliseconds(1.5), idle: .milliseconds(20))
        server.answer(Self.trials / 2)
        // The load changes between the trials.
        server.idle = .seconds(1)
        server.answer(Self.trials / 2)
        #expect(server.spread.isWide)
        var waiting = Server(all: .milliseconds(3.5), idle: .milliseconds(1))
        waiting.answer(Self.trials / 2)
        waiting.idle = .zero
        waiting.answer(Self.trials / 2)
        // 4 ms, and 3.5 ms.
        #expect(waiting.spread.isWide)
    }

    @Test("all are tried when all are there, and given up when one does not come")
    func late() {
        var server = Server(all: .milliseconds(1.5), areAllOpen: false)
        server.answer(Self.trials / 2 + 100)
        #expect(server.spread.isWide)
        server.areAllOpen = true
        server.answer(Self.trials / 2 - 1)
        // One is gone for a moment: the trial begins anew.
        server.areAllOpen = false
        server.answer(1)
        server.areAllOpen = true
        server.answer(Self.trials / 2)
        #expect(server.spread.isWide)
        server.answer(Self.term - 1)
        #expect(server.spread.isWide)
        var missing = Server(all: .milliseconds(1.5), areAllOpen: false)
        missing.answer(Self.trials / 2 + 256)
        #expect(!missing.spread.isWide)
        missing.answer(Self.term - 1)
        #expect(missing.wide == 256)
    }

    @Test("without one of them it goes over one")
    func lost() {
        var server = Server(all: .milliseconds(1.5))
        server.answer(Self.trials)
        server.areAllOpen = false
        server.answer(1)
        #expect(!server.spread.isWide)
    }
}
