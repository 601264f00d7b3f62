import Testing

@testable import PostgresStreams

/// A name need be looked up once only, on a connection: as long as nothing speaks against what that told.
@Suite("The registry of tails, when it knows a stream's id")
struct TailRegistryIDTests {
    /// A tail of `a` that has read to position 1, by the name, and waits.
    private func following(streamID: Int? = 17) -> TailTranscript {
        var log = TailTranscript()
        log.add("a")
        log.wait(1)
        #expect(log.take() == "1:a@0")
        #expect(log.answer(1, 0..<1, streamID: streamID) == "0")
        log.wait(1)
        log.hint("a")
        return log
    }

    @Test("what has come with an id is read on by it, as long as that brings something")
    func known() {
        var log = following()
        for position in 1..<4 {
            #expect(log.take() == "1:a#17@\(position)")
            #expect(log.answer(1, position..<(position + 1)) == "\(position)")
            log.wait(1)
            log.hint("a")
        }
        #expect(log.take() == "1:a#17@4")
        #expect(log.answer(1) == "nothing")
        log.hint("a")
        #expect(log.take() == "1:a@4")
    }

    @Test("a page of one stream is read by the name; of several, by what is known of each")
    func pages() {
        var log = following()
        #expect(log.take() == "1:a#17@1")
        #expect(log.answer(1, 1..<4) == "1 2 3")
        log.wait(1)
        log.hint("a")
        // More than one came.
        #expect(log.take() == "1:a@4")
        #expect(log.answer(1, 4..<6) == "4 5")
        // It brought no id, which may be another by now.
        log.add("b")
        log.wait(1)
        log.wait(2)
        log.hint("a")
        #expect(log.take() == "2:b@0, 1:a@6")
    }

    @Test("by the name as long as no id has come")
    func unknown() {
        var log = following(streamID: nil)
        #expect(log.take() == "1:a@1")
        #expect(log.answer(1, 1..<2, streamID: 18) == "1")
        log.wait(1)
        log.hint("a")
        #expect(log.take() == "1:a#18@2")
    }

    @Test("by the name on another connection: there the id may be another stream's")
    func otherConnection() {
        var log = following()
        log.connection = 2
        #expect(log.take() == "1:a@0=")
        #expect(log.answer(1, 0..<2) == "1")
        log.wait(1)
        log.hint("a")
        #expect(log.take() == "1:a@2")
        #expect(log.answer(1, 2..<3, streamID: 5) == "2")
        log.wait(1)
        log.hint("a")
        #expect(log.take() == "1:a#5@3")
        log.connection = 1
        log.readAgain()
        #expect(log.take() == "1:a@2=")
    }

    @Test("by the name behind a pooler, always: any of its servers may answer")
    func pooler() {
        var log = TailTranscript()
        log.isBehindPooler = true
        log.add("a")
        log.wait(1)
        log.take()
        log.answer(1, 0..<1, streamID: 17)
        log.wait(1)
        log.hint("a")
        #expect(log.take() == "1:a@0=")
        #expect(log.answer(1, 0..<1, isFull: true, streamID: 17) == "nothing")
        #expect(log.take() == "1:a@1")
    }

    @Test("by the name where a look, by the name, has found what was not read by the id")
    func found() {
        var log = following()
        #expect(log.take() == "1:a#17@1")
        #expect(log.answer(1, 1..<2) == "1")
        log.wait(1)
        for query in log.registry.takeLook() { log.registry.found(query) }
        #expect(log.take() == "1:a@2")
        #expect(log.answer(1, 2..<3, streamID: 99) == "2")
        log.wait(1)
        log.hint("a")
        #expect(log.take() == "1:a#99@3")
    }
}
