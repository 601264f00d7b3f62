import Testing

@testable import PostgresStreams

/// On a new connection, perhaps to another server: is what was delivered still there?
@Suite("The registry of tails, when a log is replaced")
struct TailRegistryComparisonTests {
    @Test("on another connection the last event delivered is compared, once")
    func compared() {
        var log = TailTranscript()
        log.add("a")
        log.wait(1)
        #expect(log.take() == "1:a@0")
        #expect(log.answer(1, 0..<3, isFull: true) == "0 1 2")
        log.wait(1)
        #expect(log.take() == "1:a@3")
        #expect(log.answer(1, 3..<4, isFull: true) == "3")
        log.connection = 2
        log.wait(1)
        #expect(log.take() == "1:a@3=")
        #expect(log.answer(1, 3..<6) == "4 5")
        log.hint("a")
        log.wait(1)
        #expect(log.take() == "1:a@6")
        #expect(log.answer(1) == "nothing")
        log.connection = 3
        log.hint("a")
        #expect(log.take() == "1:a@5=")
        #expect(log.answer(1, 5..<6) == "nothing")
        log.hint("a")
        #expect(log.take() == "1:a@6")
    }

    @Test("a tail that has delivered nothing has nothing to compare")
    func nothingToCompare() {
        var log = TailTranscript()
        log.add("a", at: 7)
        log.wait(1)
        log.take()
        #expect(log.answer(1) == "nothing")
        log.connection = 2
        log.hint("a")
        #expect(log.take() == "1:a@7")
        #expect(log.answer(1, 7..<9) == "7 8")
    }

    @Test("a comparison that was read again is still to be made")
    func comparedAgain() {
        var log = TailTranscript()
        log.add("a")
        log.wait(1)
        log.take()
        log.answer(1, 0..<2)
        log.connection = 2
        log.hint("a")
        log.wait(1)
        #expect(log.take() == "1:a@1=")
        log.connection = 3
        log.readAgain()
        #expect(log.take() == "1:a@1=")
        #expect(log.answer(1, 1..<3) == "2")
    }

    @Test("another event in the place of the last one delivered means that the log was replaced")
    func replaced() {
        var log = TailTranscript()
        log.add("a")
        log.wait(1)
        log.take()
        log.answer(1, 0..<3)
        log.connection = 2
        log.incarnation = 2
        log.hint("a")
        log.wait(1)
        #expect(log.take() == "1:a@2=")
        #expect(log.answer(1, 2..<5) == "replaced 2 2")
        #expect(log.take() == "")
    }

    @Test("so does a log that ends before it, or that has a hole in its place")
    func shortened() {
        for (rows, expected) in [(3..<3, "replaced 2 –"), (3..<5, "replaced 2 3")] {
            var log = TailTranscript()
            log.add("a")
            log.wait(1)
            log.take()
            log.answer(1, 0..<3)
            log.connection = 2
            log.hint("a")
            log.wait(1)
            #expect(log.take() == "1:a@2=")
            #expect(log.answer(1, rows) == expected)
        }
    }
}
