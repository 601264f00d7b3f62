import Testing

@testable import PostgresStreams

/// Tails whose consumers are gone.
@Suite("The registry of tails, when some go")
struct TailRegistryRemovalTests {
    @Test("a tail that is removed is not read, nor hinted at, and its rows are nobody's")
    func removal() {
        var log = TailTranscript()
        for _ in 1...3 { log.add("a") }
        for id in 1...3 { log.wait(id) }
        log.registry.remove(2)
        #expect(log.take() == "1:a@0, 3:a@0")
        log.registry.remove(1)
        #expect(log.answer(1, 0..<1) == "nothing")
        #expect(log.answer(3) == "nothing")
        log.hint("a")
        #expect(log.take() == "3:a@0")
        #expect(log.answer(3) == "nothing")
        log.registry.remove(3)
        log.registry.remove(3)
        log.hint("a")
        log.hintAll()
        log.wait(3)
        #expect(log.take() == "")
        #expect(log.registry.isEmpty)
    }

    @Test("tails that were removed before they were read take no place in a query")
    func removedWhileReady() {
        var log = TailTranscript()
        for _ in 1...5 { log.add("a") }
        for id in 1...5 { log.wait(id) }
        for id in [1, 2, 4] { log.registry.remove(id) }
        #expect(log.take(2) == "3:a@0, 5:a@0")
    }
}
