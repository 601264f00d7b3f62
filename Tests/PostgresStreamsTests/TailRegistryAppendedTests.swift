import Testing

@testable import PostgresStreams

/// What this process appends itself, the tails that wait for it have without a read.
@Suite("The registry of tails, and what is appended here")
struct TailRegistryAppendedTests {
    /// A tail that has delivered 0 and 1, and waits at the end.
    private func following() -> TailTranscript {
        var log = TailTranscript()
        log.add("a")
        log.wait(1)
        log.take()
        log.answer(1, 0..<2)
        log.wait(1)
        #expect(log.take() == "")
        return log
    }

    @Test("who waits for just that event has it, and nothing is read; the next read compares it")
    func waiting() {
        var log = following()
        #expect(log.appended("a", 2) == "1: 2")
        log.wait(1)
        #expect(log.take() == "")
        #expect(log.appended("a", 3) == "1: 3")
        log.wait(1)
        log.hint("a")
        #expect(log.take() == "1:a@3=")
        #expect(log.answer(1, 3..<5) == "4")
        log.wait(1)
        log.hint("a")
        #expect(log.take() == "1:a@5")
    }

    @Test("one that has delivered nothing yet, and is at the end, has it too; one that has not been read is read")
    func fromTheEnd() {
        var log = TailTranscript()
        log.add("a", at: 7)
        log.wait(1)
        #expect(log.appended("a", 7) == "")
        #expect(log.take() == "1:a@7")
        #expect(log.appended("a", 7) == "")
        #expect(log.answer(1) == "nothing")
        #expect(log.take() == "1:a@7")
        #expect(log.answer(1) == "nothing")
        #expect(log.appended("a", 7) == "1: 7")
    }

    @Test("one that does not wait is not given it: it is read when somebody does")
    func busy() {
        var log = following()
        #expect(log.appended("a", 2) == "1: 2")
        #expect(log.appended("a", 3) == "")
        #expect(log.appended("a", 4) == "")
        #expect(log.take() == "")
        log.wait(1)
        #expect(log.take() == "1:a@2=")
        #expect(log.appended("a", 5) == "")
        #expect(log.answer(1, 2..<5) == "3 4")
        log.wait(1)
        #expect(log.take() == "1:a@5")
        #expect(log.answer(1, 5..<6) == "5")
    }

    @Test("one that has a later event already is left alone; one that misses an earlier one is read")
    func otherPositions() {
        var log = following()
        #expect(log.appended("a", 1) == "")
        #expect(log.take() == "")
        #expect(log.appended("a", 4) == "")
        #expect(log.take() == "1:a@2")
        #expect(log.answer(1, 2..<5) == "2 3 4")
    }

    @Test("an event behind another than was delivered is not given out: the read finds the log replaced")
    func replaced() {
        var log = following()
        #expect(log.appended("a", 2, behind: 2) == "")
        log.connection = 2
        log.incarnation = 2
        #expect(log.take() == "1:a@1=")
        #expect(log.answer(1, 1..<3) == "replaced 1 1")
    }

    @Test("an event that was given out, and that the next server does not have, is found missing")
    func lost() {
        var log = following()
        #expect(log.appended("a", 2) == "1: 2")
        log.wait(1)
        log.connection = 2
        log.hint("a")
        #expect(log.take() == "1:a@2=")
        #expect(log.answer(1) == "replaced 2 –")
    }

    @Test("what a look found counts, though what it found first was taken meanwhile: there may be more behind it")
    func look() {
        var log = following()
        let look = log.registry.takeLook()
        #expect(look.map(\.position) == [2])
        #expect(log.appended("a", 2) == "1: 2")
        log.wait(1)
        for query in look { log.registry.found(query) }
        #expect(log.take() == "1:a@2=")
        #expect(log.answer(1, 2..<4) == "3")
    }

    @Test("each of several consumers, and each stream of one that follows many, at once or one after the other")
    func many() {
        var log = TailTranscript()
        log.add("a", "b", at: 5)
        log.add("a", at: 5)
        log.add("c", at: 5)
        for id in 1...3 { log.wait(id) }
        log.take()
        for id in 1...4 { #expect(log.answer(id) == "nothing") }
        #expect(log.appended("a", 5) == "1: 5, 2: 5")
        #expect(log.appended("b", 5) == "")
        log.wait(1)
        #expect(log.take() == "2:b@5")
        #expect(log.answer(2, 5..<6) == "5")
        log.registry.remove(2)
        log.wait(1)
        #expect(log.appended("a", 6) == "1: 6")
        #expect(log.appended("d", 5) == "")
    }
}
