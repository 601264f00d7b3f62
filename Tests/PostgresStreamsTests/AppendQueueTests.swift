import Testing

@testable import PostgresStreams

@Suite("The append queue")
struct AppendQueueTests {
    @Test("what is added while a segment is on the wire becomes the next one")
    func segments() {
        var log = AppendQueueTranscript()
        #expect(log.queue.isEmpty)
        #expect(log.send() == nil)
        log.add(1, "a")
        #expect(!log.queue.isEmpty)
        #expect(log.send() == "a@0: 1")
        log.add(2, "b")
        log.add(3, "a")
        log.add(4, "b")
        #expect(log.send() == nil)
        #expect(log.answer(.written(0)) == "1 at 0")
        #expect(log.send() == "a@1: 3 | b@0: 2 4")
        #expect(log.answer(.written(1), .written(0)) == "3 at 1, 2 at 0, 4 at 1")
        #expect(log.queue.isEmpty)
    }

    @Test("a batch takes a position for each event, and the caller is told its first")
    func batches() {
        var log = AppendQueueTranscript()
        log.add(1, "a", events: 3)
        log.add(2, "a")
        log.add(3, "a", events: 2)
        #expect(log.send() == "a@0: 1 2 3")
        #expect(log.answer(.written(10)) == "1 at 10, 2 at 13, 3 at 14")
        log.add(4, "a")
        #expect(log.send() == "a@16: 4")
    }

    @Test("the streams of a segment are in the order of their bytes, which is the order of locks")
    func lockOrder() {
        var log = AppendQueueTranscript()
        for (id, stream) in ["b", "é", "a", "B", "a/1", "z", "e\u{301}"].enumerated() { log.add(id, stream) }
        #expect(log.send() == "B@0: 3 | a@0: 2 | a/1@0: 4 | b@0: 0 | e\u{301}@0: 6 | z@0: 5 | é@0: 1")
    }

    @Test("every run has a token of its own, also one that is tried anew")
    func tokens() throws {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.add(2, "b")
        log.send()
        let first = try #require(log.segment?.runs.map(\.token))
        #expect(log.answer(.behind(5000), .behind(5000)) == "")
        log.send()
        let second = try #require(log.segment?.runs.map(\.token))
        #expect(Set(first + second).count == 4)
    }

    @Test("quiet streams are forgotten when there are too many; what is under way is not mixed up")
    func lanes() {
        var log = AppendQueueTranscript(.init(bytes: 1 << 20, segmentsUnderWay: 2, lanes: 2))
        log.add(1, "quiet")
        log.send()
        #expect(log.answer(.written(7)) == "1 at 7")
        log.add(2, "busy")
        log.send()
        let busy = log.segment
        // In the quiet one's place.
        log.add(3, "new")
        #expect(log.send() == "new@0: 3")
        log.add(4, "busy")
        log.add(5, "more")
        #expect(log.answer(.written(3)) == "3 at 3")
        #expect(log.send() == "more@0: 5")
        #expect(log.answer(.written(5)) == "5 at 5")
        #expect(log.queue.answered(busy?.id ?? 0, [.written(9)]).map(\.append.id) == [2])
        log.add(6, "quiet")
        #expect(log.send() == "busy@10: 4 | quiet@0: 6")
        #expect(log.answer(.written(10), .written(8)) == "4 at 10, 6 at 8")
        #expect(log.queue.isEmpty)
    }

    // MARK: Positions

    @Test("a run that is too far behind is tried anew with the position the server told")
    func behind() {
        var log = AppendQueueTranscript()
        log.add(1, "a", events: 2)
        log.add(2, "a")
        #expect(log.send() == "a@0: 1 2")
        log.add(3, "a")
        #expect(log.answer(.behind(5000)) == "")
        #expect(log.send() == "a@5000: 1 2 3")
        #expect(log.answer(.written(5007)) == "1 at 5007, 2 at 5009, 3 at 5010")
        log.add(4, "a")
        #expect(log.send() == "a@5011: 4")
    }

    @Test("exact appends that follow each other share a run; one that does not waits, and so do those behind it")
    func exactChain() {
        var log = AppendQueueTranscript()
        log.add(1, "a", events: 2, expecting: 5)
        log.add(2, "a", expecting: 7)
        log.add(3, "a", expecting: 9)
        log.add(4, "a", expecting: 8)
        log.add(5, "b")
        #expect(log.send() == "a@5!: 1 2 | b@0: 5")
        #expect(log.answer(.written(5), .written(0)) == "1 at 5, 2 at 7, 5 at 0")
        #expect(log.send() == "a@9!: 3")
        #expect(log.answer(.conflict(8)) == "3 conflict 9≠8 notWritten")
        #expect(log.send() == "a@8!: 4")
    }

    @Test("what waits for its stream goes before what came later, whatever its kind")
    func heldOrder() {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.add(2, "a", expecting: 1)
        log.add(3, "b")
        log.add(4, "a")
        log.add(5, "b", expecting: 1)
        #expect(log.send() == "a@0: 1 | b@0: 3")
        log.add(6, "a")
        log.add(7, "b", expecting: 2)
        #expect(log.answer(.written(0), .written(0)) == "1 at 0, 3 at 0")
        #expect(log.send() == "a@1!: 2 | b@1!: 5 7")
        #expect(log.answer(.written(1), .written(1)) == "2 at 1, 5 at 1, 7 at 2")
        #expect(log.send() == "a@2: 4 6")
    }

    @Test("exact and other appends to a stream do not share a run, and keep their order")
    func mixedExactness() {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.add(2, "a", expecting: 1)
        log.add(3, "a")
        #expect(log.send() == "a@0: 1")
        #expect(log.answer(.written(0)) == "1 at 0")
        #expect(log.send() == "a@1!: 2")
        #expect(log.answer(.written(1)) == "2 at 1")
        #expect(log.send() == "a@2: 3")
    }

    @Test("a conflict fails the first of a chain; the server answers each that follows on its own")
    func conflict() {
        var log = AppendQueueTranscript()
        log.add(1, "a", expecting: 5)
        log.add(2, "a", expecting: 6)
        log.add(3, "a", expecting: 7)
        #expect(log.send() == "a@5!: 1 2 3")
        #expect(log.answer(.conflict(6)) == "1 conflict 5≠6 notWritten")
        #expect(log.send() == "a@6!: 2 3")
        #expect(log.answer(.conflict(9)) == "2 conflict 6≠9 notWritten")
        #expect(log.send() == "a@7!: 3")
        #expect(log.answer(.conflict(9)) == "3 conflict 7≠9 notWritten")
        log.add(4, "a")
        #expect(log.send() == "a@9: 4")
    }

    @Test("one stream's conflict is no other stream's")
    func conflictAmongOthers() {
        var log = AppendQueueTranscript()
        log.add(1, "a", expecting: 5)
        log.add(2, "b")
        #expect(log.send() == "a@5!: 1 | b@0: 2")
        #expect(log.answer(.conflict(0), .written(0)) == "1 conflict 5≠0 notWritten, 2 at 0")
    }

    @Test("a stream that ends before a position it had told was replaced, and the next append goes by its new end")
    func logReplaced() {
        var log = AppendQueueTranscript()
        log.add(1, "a", events: 8)
        log.send()
        log.answer(.written(0))
        log.add(2, "a")
        log.add(3, "a")
        #expect(log.send() == "a@8: 2 3")
        #expect(log.answer(.conflict(6)) == "2 logReplaced 8≠6 notWritten, 3 logReplaced 8≠6 notWritten")
        log.add(4, "a")
        #expect(log.send() == "a@6: 4")
    }

    // MARK: Epochs

    @Test("writers of different epochs do not share a run, and keep their order")
    func epochs() {
        var log = AppendQueueTranscript()
        log.add(1, "a", epoch: 1)
        log.add(2, "a", epoch: 1)
        log.add(3, "a")
        log.add(4, "a", epoch: 1)
        #expect(log.send() == "a@0#1: 1 2")
        #expect(log.answer(.written(0, epoch: 1)) == "1 at 0, 2 at 1")
        #expect(log.send() == "a@2: 3")
        #expect(log.answer(.fenced(by: 1)) == "3 fenced –<1 notWritten")
        #expect(log.send() == "a@2#1: 4")
    }

    @Test("a fenced writer learns both epochs, and whether its events had been written before")
    func fenced() {
        var log = AppendQueueTranscript()
        log.add(1, "a", epoch: 2)
        log.add(2, "a", epoch: 2)
        log.add(3, "b")
        #expect(log.send() == "a@0#2: 1 2 | b@0: 3")
        #expect(
            log.answer(.fenced(by: 4, at: 0), .fenced(by: 1))
                == "1 fenced 2<4 written, 2 fenced 2<4 written, 3 fenced –<1 notWritten"
        )
        #expect(log.queue.isEmpty)
    }

    // MARK: Refusals

    @Test("a refused segment is tried again one by one, and only the bad append fails")
    func oneBadAppend() {
        var log = AppendQueueTranscript()
        log.add(1, "b")
        log.add(2, "a")
        log.add(3, "a")
        #expect(log.send() == "a@0: 2 3 | b@0: 1")
        log.add(4, "a")
        #expect(log.refuse("22P05") == "")
        #expect(log.send() == "a@0: 2")
        #expect(log.answer(.written(0)) == "2 at 0")
        #expect(log.send() == "b@0: 1")
        #expect(log.answer(.written(0)) == "1 at 0")
        #expect(log.send() == "a@1: 3")
        #expect(log.refuse("22P05") == "3 refused notWritten")
        #expect(log.send() == "a@1: 4")
    }

    @Test(
        "what passes is tried again together",
        arguments: ["40001", "40P01", "23505", "53100", "25006"]
    )
    func retryable(state: String) throws {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.add(2, "b")
        #expect(log.send() == "a@0: 1 | b@0: 2")
        let tokens = try #require(log.segment?.runs.map(\.token))
        #expect(log.refuse(state) == "")
        #expect(log.send() == "a@0: 1 | b@0: 2")
        // It was rolled back, so that nothing is to be found under the old ones.
        #expect(log.segment?.runs.map(\.token) != tokens)
        #expect(log.answer(.written(0), .written(0)) == "1 at 0, 2 at 0")
    }

    @Test("an append that goes alone is refused again for what passes, and tried again alone")
    func retryableAlone() {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.add(2, "a")
        log.send()
        log.refuse("22000")
        #expect(log.send() == "a@0: 1")
        #expect(log.refuse("40001") == "")
        #expect(log.send() == "a@0: 1")
        #expect(log.answer(.written(0)) == "1 at 0")
        #expect(log.send() == "a@1: 2")
    }

    // MARK: Limits

    @Test("a segment ends before the append that would make it too large, whosever it is")
    func byteLimit() {
        var log = AppendQueueTranscript(.init(bytes: 100))
        log.add(1, "a", bytes: 40)
        log.add(2, "b", bytes: 60)
        log.add(3, "c", bytes: 1)
        #expect(log.send() == "a@0: 1 | b@0: 2")
        log.answer(.written(0), .written(0))
        #expect(log.send() == "c@0: 3")
    }

    @Test("an append larger than a segment goes alone")
    func oversized() {
        var log = AppendQueueTranscript(.init(bytes: 100))
        log.add(1, "a", bytes: 10)
        log.add(2, "a", bytes: 1_000)
        log.add(3, "a", bytes: 10)
        #expect(log.send() == "a@0: 1")
        log.answer(.written(0))
        #expect(log.send() == "a@1: 2")
        log.answer(.written(1))
        #expect(log.send() == "a@2: 3")
    }

    @Test("a segment has so many streams at most; more appends to those that are in it still join")
    func runLimit() {
        var log = AppendQueueTranscript(.init(bytes: 1 << 20, runs: 2))
        for (id, stream) in ["a", "b", "c", "a", "c", "b"].enumerated() { log.add(id, stream) }
        #expect(log.send() == "a@0: 0 3 | b@0: 1 5")
        #expect(log.answer(.written(0), .written(0)) == "0 at 0, 3 at 1, 1 at 0, 5 at 1")
        #expect(log.send() == "c@0: 2 4")
    }

    @Test("a segment that has its number of events takes no more")
    func eventLimit() {
        var log = AppendQueueTranscript(.init(bytes: 1 << 20, events: 3))
        log.add(1, "a", events: 2)
        log.add(2, "b", events: 2)
        log.add(3, "a")
        #expect(log.send() == "a@0: 1 3")
        log.add(4, "a")
        log.answer(.written(0))
        #expect(log.send() == "a@3: 4 | b@0: 2")
    }

    @Test(
        "where one may be why all are refused, a lock that is held or that there is no room for, each goes alone",
        arguments: ["53200", "55P03", "57014"]
    )
    func heldUp(state: String) {
        var log = AppendQueueTranscript()
        for (id, stream) in ["a", "b"].enumerated() { log.add(id, stream) }
        #expect(log.send() == "a@0: 0 | b@0: 1")
        #expect(log.refuse(state) == "")
        #expect(log.send() == "a@0: 0")
        log.answer(.written(0))
        #expect(log.send() == "b@0: 1")
    }

    // MARK: Several segments on the wire

    @Test("segments that are on the wire at the same time have no stream in common")
    func disjoint() {
        var log = AppendQueueTranscript(.init(bytes: 1 << 20, segmentsUnderWay: 2))
        log.add(1, "a")
        #expect(log.send() == "a@0: 1")
        log.add(2, "a")
        #expect(log.send() == nil)
        log.add(3, "b")
        #expect(log.send() == "b@0: 3")
        log.add(4, "c")
        #expect(log.send() == nil)
        #expect(log.answer(.written(0)) == "3 at 0")
        #expect(log.send() == "c@0: 4")
    }

    @Test("a segment takes its share of the streams, and leaves the others to the next connection")
    func share() {
        var log = AppendQueueTranscript(.init(bytes: 1 << 20, segmentsUnderWay: 2))
        for (id, stream) in ["a", "b", "c", "a", "d"].enumerated() { log.add(id, stream) }
        #expect(log.send(atMost: 2) == "a@0: 0 3 | b@0: 1")
        #expect(log.send(atMost: 2) == "c@0: 2 | d@0: 4")
    }

    @Test("what was lost on one connection goes first on another, and its streams wait for it")
    func lostBesideOthers() {
        var log = AppendQueueTranscript(.init(bytes: 1 << 20, segmentsUnderWay: 2))
        log.add(1, "a")
        log.send()
        log.lose()
        log.add(2, "a")
        log.add(3, "b")
        #expect(log.send() == "a@0: 1")
        #expect(log.send() == "b@0: 3")
    }
}
