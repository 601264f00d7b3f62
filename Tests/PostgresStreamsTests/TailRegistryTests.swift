import Testing

@testable import PostgresStreams

@Suite("The tail registry")
struct TailRegistryTests {
    // MARK: When a tail is read

    @Test("a new tail is read as soon as its consumer waits, and not before")
    func newTail() {
        var log = TailTranscript()
        #expect(log.registry.isEmpty)
        log.add("a", at: 3)
        #expect(!log.registry.isEmpty)
        #expect(log.take() == "")
        log.wait(1)
        #expect(log.take() == "1:a@3")
        #expect(log.take() == "")
    }

    @Test("a tail at its end waits for a hint; each hint is one read")
    func hints() {
        var log = TailTranscript()
        log.add("a")
        log.wait(1)
        log.take()
        #expect(log.answer(1) == "nothing")
        #expect(log.take() == "")
        log.hint("a")
        log.hint("a")
        #expect(log.take() == "1:a@0")
        #expect(log.answer(1, 0..<2) == "0 1")
        #expect(log.take() == "")
        log.wait(1)
        #expect(log.take() == "")
        log.hint("a")
        #expect(log.take() == "1:a@2")
        #expect(log.answer(1) == "nothing")
    }

    @Test("a hint that comes while nobody waits counts when somebody does")
    func hintBeforeWaiting() {
        var log = TailTranscript()
        log.add("a")
        log.wait(1)
        log.take()
        #expect(log.answer(1, 0..<1) == "0")
        log.hint("a")
        #expect(log.take() == "")
        log.wait(1)
        #expect(log.take() == "1:a@1")
    }

    @Test("a hint that comes during a read is about what the read may have missed: it is read again")
    func hintDuringRead() {
        var log = TailTranscript()
        log.add("a")
        log.wait(1)
        log.take()
        log.hint("a")
        #expect(log.take() == "")
        #expect(log.answer(1) == "nothing")
        #expect(log.take() == "1:a@0")
        log.hint("a")
        #expect(log.answer(1, 0..<1) == "0")
        #expect(log.take() == "")
        log.wait(1)
        #expect(log.take() == "1:a@1")
    }

    @Test("a full page is followed by another read without a hint, one that is not full is not")
    func fullPages() {
        var log = TailTranscript()
        log.add("a")
        log.wait(1)
        log.take()
        #expect(log.answer(1, 0..<3, isFull: true) == "0 1 2")
        log.wait(1)
        #expect(log.take() == "1:a@3")
        #expect(log.answer(1, 3..<4) == "3")
        log.wait(1)
        #expect(log.take() == "")
    }

    @Test("behind a full page one more is read before it is asked for, and no third")
    func readingAhead() {
        var log = TailTranscript()
        log.add("a")
        log.wait(1)
        log.take()
        #expect(log.answer(1, 0..<3, isFull: true) == "0 1 2")
        #expect(log.take() == "1:a@3")
        #expect(log.answer(1, 3..<6, isFull: true) == "ahead")
        log.hint("a")
        #expect(log.take() == "")
        #expect(log.wait(1) == "3 4 5")
        #expect(log.take() == "1:a@6")
        #expect(log.answer(1, 6..<7) == "ahead")
        #expect(log.wait(1) == "6")
        #expect(log.take() == "")
    }

    @Test("a consumer of many streams gets a page of one at a time, and reads none while it has enough")
    func manySources() {
        var log = TailTranscript()
        log.add("a", "b", "c")
        log.wait(1)
        #expect(log.take() == "1:a@0, 2:b@0, 3:c@0")
        #expect(log.answer(1, 0..<2) == "0 1")
        #expect(log.answer(2, 0..<1) == "ahead")
        #expect(log.answer(3) == "nothing")
        log.hint("a", "c")
        #expect(log.take() == "")
        #expect(log.wait(1) == "0")
        #expect(log.take() == "")
        #expect(log.wait(1) == "")
        #expect(log.takeSorted() == "1:a@2, 3:c@0")
        log.registry.remove(1)
        #expect(log.answer(1, 2..<3) == "nothing")
        #expect(log.registry.isEmpty)
    }

    @Test("sources that became ready while their consumer waited are put off when it has enough")
    func putOff() {
        var log = TailTranscript()
        log.add("a", "b", "c")
        log.wait(1)
        #expect(log.take(1) == "1:a@0")
        #expect(log.answer(1, 0..<1) == "0")
        #expect(log.take() == "")
        log.wait(1)
        #expect(log.take() == "2:b@0, 3:c@0")
    }

    @Test("a look is about the streams at their end whose consumers wait; what it finds is read")
    func looks() {
        var log = TailTranscript()
        for stream in ["a", "b", "c"] { log.add(stream, at: 4) }
        for id in 1...3 { log.wait(id) }
        log.take()
        #expect(log.answer(1) == "nothing")
        #expect(log.answer(2) == "nothing")
        #expect(log.answer(3, 4..<5) == "4")
        let look = log.registry.takeLook().sorted { $0.id < $1.id }
        #expect(look.map(\.stream.text) == ["a", "b"])
        #expect(look.map(\.position) == [4, 4])
        #expect(log.take() == "")
        log.registry.found(look[1])
        #expect(log.take() == "2:b@4")
        // It was not looked at: it is read when it is next asked for.
        log.wait(3)
        #expect(log.take() == "3:c@5")
    }

    @Test("a look that finds what has been read meanwhile reads nothing again")
    func lateLook() {
        var log = TailTranscript()
        log.add("a")
        log.wait(1)
        log.take()
        #expect(log.answer(1) == "nothing")
        let look = log.registry.takeLook()
        log.hint("a")
        log.take()
        #expect(log.answer(1, 0..<2) == "0 1")
        log.wait(1)
        for query in look { log.registry.found(query) }
        #expect(log.take() == "")
    }

    @Test("digests are read from whatever is notified")
    func payloads() {
        #expect(Array(HintPayload("")) == [])
        #expect(Array(HintPayload(",,,")) == [])
        #expect(Array(HintPayload("0123456789abcdef")) == [0x0123_4567_89AB_CDEF])
        #expect(Array(HintPayload(",ffffffffffffffff,0000000000000000,")) == [UInt64.max, 0])
        for nonsense in ["0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "-123456789abcdef", "😀", "\u{0}"] {
            #expect(Array(HintPayload(nonsense)) == [], "\(nonsense)")
            #expect(Array(HintPayload("\(nonsense),00000000000000ff")) == [255], "\(nonsense)")
        }
    }

    @Test("a payload's number is not one of its digests")
    func number() {
        let payload = HintPayload(digests: [1, .max], number: 7)
        #expect(payload.text == "-0000000000000007,0000000000000001,ffffffffffffffff")
        #expect(payload.number == 7)
        #expect(Array(payload) == [1, .max])
        #expect(HintPayload(digests: [7, 1]).text == "0000000000000007,0000000000000001")
        for numberless in ["", "-", "-7", "0000000000000007", "-,0000000000000007", "--000000000000007"] {
            #expect(HintPayload(numberless).number == nil, "\(numberless)")
        }
        #expect(HintPayload(digests: 0..<UInt64(HintPayload.capacity), number: 7).text.utf8.count < 8000)
    }

    @Test("a consumer that does not pull is not read for, however many hints come")
    func slowConsumer() {
        var log = TailTranscript()
        log.add("a")
        log.add("a")
        log.wait(1)
        log.wait(2)
        #expect(log.take() == "1:a@0, 2:a@0")
        #expect(log.answer(1, 0..<1) == "0")
        #expect(log.answer(2, 0..<1) == "0")
        log.wait(1)
        log.hint("a")
        log.hintAll()
        #expect(log.take() == "1:a@1")
    }

    @Test("a hint wakes all tails of its streams and no other; what is unknown is ignored")
    func hintedStreams() {
        var log = TailTranscript()
        for stream in ["a", "b", "a", "c"] { log.add(stream, at: 5) }
        for id in 1...4 { log.wait(id) }
        log.take()
        for id in 1...4 { #expect(log.answer(id) == "nothing") }
        log.registry.hint([])
        log.registry.hint([0x0123_4567_89AB_CDEF])
        log.hint("d")
        #expect(log.take() == "")
        log.hint("a", "c")
        #expect(log.takeSorted() == "1:a@5, 3:a@5, 4:c@5")
        for id in [1, 3, 4] { #expect(log.answer(id) == "nothing") }
        log.hintAll()
        #expect(log.takeSorted() == "1:a@5, 2:b@5, 3:a@5, 4:c@5")
    }

    @Test("a query takes so many tails at most, first those that came to be ready first")
    func limit() {
        var log = TailTranscript()
        for _ in 1...5 { log.add("a") }
        for id in [3, 1, 5, 2, 4] { log.wait(id) }
        #expect(log.take(2) == "3:a@0, 1:a@0")
        #expect(log.answer(3) == "nothing")
        log.hint("a")
        #expect(log.take(2) == "5:a@0, 2:a@0")
        #expect(log.take(9) == "4:a@0, 3:a@0")
    }

    @Test("what is new or behind is read apart from what follows; so are large events")
    func lanes() {
        var log = TailTranscript()
        func lanes() -> [Bool] { TailRegistry.Lane.allCases.map { log.registry.hasReady($0) } }
        log.add("a")
        log.wait(1)
        #expect(lanes() == [false, true])
        log.take()
        #expect(log.answer(1, 0..<3, isFull: true) == "0 1 2")
        #expect(lanes() == [false, true])
        log.take()
        #expect(log.answer(1) == "nothing")
        log.wait(1)
        log.hint("a")
        #expect(lanes() == [true, false])
        log.take()
        // Where one was expected and two came, there is not much more.
        #expect(log.answer(1, 3..<5, isFull: true) == "3 4")
        log.wait(1)
        #expect(lanes() == [true, false])
        log.take()
        #expect(log.answer(1, 5..<6, byteCount: 40_000) == "5")
        log.wait(1)
        log.hint("a")
        #expect(lanes() == [false, true])
    }

    @Test("no more are read together than may come, by what is known of them; one is always")
    func byteCounts() {
        var log = TailTranscript()
        for _ in 1...4 { log.add("a") }
        for id in 1...4 { log.wait(id) }
        log.take()
        for id in 1...4 { #expect(log.answer(id, 0..<1, byteCount: 100_000) == "0") }
        for id in 1...4 { log.wait(id) }
        log.hint("a")
        func taken(_ byteCount: Int) -> [Int] {
            log.registry.takeQueries(.catchingUp, limit: 9, byteCount: byteCount, connection: 1).map(\.eventByteCount)
        }
        #expect(taken(1) == [100_000])
        #expect(taken(250_000) == [100_000, 100_000])
        #expect(taken(250_000) == [100_000])
        #expect(taken(250_000) == [])
    }

    @Test("a read that failed is done again, with what was hinted at and what was not")
    func readAgain() {
        var log = TailTranscript()
        log.add("a")
        log.add("b")
        log.wait(1)
        log.wait(2)
        #expect(log.take() == "1:a@0, 2:b@0")
        log.registry.remove(1)
        log.readAgain()
        #expect(log.take() == "2:b@0")
        #expect(log.answer(2, 0..<1) == "0")
    }
}
