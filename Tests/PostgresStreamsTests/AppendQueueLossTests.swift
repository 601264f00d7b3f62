import Testing

@testable import PostgresStreams

/// What becomes of appends when the connection, the time or the caller goes away.
@Suite("The append queue, when something is lost")
struct AppendQueueLossTests {
    // MARK: Connections

    @Test("a lost segment is sent again as it was, tokens and positions included, before anything else")
    func resent() throws {
        var log = AppendQueueTranscript()
        log.add(1, "a", events: 2)
        log.add(2, "b", expecting: 3, epoch: 1)
        log.send()
        let sent = try #require(log.segment)
        log.add(3, "a")
        log.lose()
        #expect(!log.queue.isEmpty)
        for _ in 0..<3 {
            #expect(log.send() == "a@0: 1 | b@3!#1: 2")
            #expect(log.segment?.runs.map(\.token) == sent.runs.map(\.token))
            #expect(log.send() == nil)
            log.lose()
        }
        log.send()
        #expect(log.answer(.written(40), .written(3, epoch: 1)) == "1 at 40, 2 at 3")
        #expect(log.send() == "a@42: 3")
    }

    @Test("what never left is cut anew, with what came meanwhile")
    func unsent() throws {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.send()
        let token = try #require(log.segment?.runs.first?.token)
        log.add(2, "a")
        log.lose(sent: false)
        #expect(log.send() == "a@0: 1 2")
        #expect(log.segment?.runs.first?.token != token)
    }

    @Test("what was lost once stays as it was, though a later sending never left")
    func lostThenUnsent() throws {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.send()
        let token = try #require(log.segment?.runs.first?.token)
        log.add(2, "a")
        log.lose()
        log.send()
        log.lose(sent: false)
        #expect(log.send() == "a@0: 1")
        #expect(log.segment?.runs.first?.token == token)
    }

    @Test(
        "what was lost once stays as it was, though a later sending is refused for what passes",
        arguments: ["40001", "25006", "57P01"]
    )
    func lostThenRefused(state: String) throws {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.add(2, "b")
        log.send()
        let tokens = try #require(log.segment?.runs.map(\.token))
        log.add(3, "a")
        log.lose()
        log.send()
        #expect(log.refuse(state) == "")
        #expect(log.send() == "a@0: 1 | b@0: 2")
        #expect(log.segment?.runs.map(\.token) == tokens)
        #expect(log.answer(.written(0), .written(7)) == "1 at 0, 2 at 7")
        #expect(log.send() == "a@1: 3")
    }

    @Test(
        "a later sending parts by stream, each as it was, where one of them may hold up the others",
        arguments: ["55P03", "57014", "53200"]
    )
    func lostThenHeldUp(state: String) throws {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.add(2, "b")
        log.send()
        let tokens = try #require(log.segment?.runs.map(\.token))
        log.lose()
        log.send()
        #expect(log.refuse(state) == "")
        #expect(log.send() == "a@0: 1")
        #expect(log.segment?.runs.map(\.token) == [tokens[0]])
        #expect(log.lockPatience == .milliseconds(100))
        // Alone it is sent again as it was, for as long as there is time; the other does not wait for it.
        #expect(log.refuse(state) == "")
        log.add(3, "c")
        #expect(log.send() == "c@0: 3")
        log.answer(.written(0))
        #expect(log.send() == "b@0: 2")
        #expect(log.segment?.runs.map(\.token) == [tokens[1]])
        #expect(log.answer(.written(0)) == "2 at 0")
        #expect(log.send() == nil)
        log.endRests()
        #expect(log.send() == "a@0: 1")
        #expect(log.segment?.runs.map(\.token) == [tokens[0]])
        #expect(log.answer(.written(0)) == "1 at 0")
    }

    @Test("a later sending that is refused for good parts by stream; what is refused alone has an unknown outcome")
    func lostThenRefusedForGood() throws {
        var log = AppendQueueTranscript()
        log.add(1, "a", events: 2)
        log.add(2, "a")
        log.add(3, "b")
        log.send()
        let tokens = try #require(log.segment?.runs.map(\.token))
        log.add(4, "a")
        log.lose()
        log.send()
        #expect(log.refuse("22P05") == "")
        #expect(log.send() == "a@0: 1 2")
        #expect(log.segment?.runs.map(\.token) == [tokens[0]])
        log.lose()
        #expect(log.send() == "a@0: 1 2")
        #expect(log.refuse("22P05") == "1 refused unknown a@0+0, 2 refused unknown a@0+2")
        #expect(log.send() == "b@0: 3")
        #expect(log.segment?.runs.map(\.token) == [tokens[1]])
        #expect(log.answer(.written(0)) == "3 at 0")
        #expect(log.send() == "a@0: 4")
    }

    @Test("a later sending of exact appends that conflicts means that the first was not written")
    func lostThenConflict() {
        var log = AppendQueueTranscript()
        log.add(1, "a", expecting: 0)
        log.send()
        log.lose()
        log.send()
        #expect(log.answer(.conflict(4)) == "1 conflict 0≠4 notWritten")
    }

    @Test("a conflict with a stream that has yet to grow says nothing of a sending that was lost")
    func lostThenAhead() {
        var log = AppendQueueTranscript()
        log.add(1, "a", expecting: 5)
        log.add(2, "a", expecting: 6)
        log.send()
        log.lose()
        log.send()
        #expect(log.answer(.conflict(4)) == "1 conflict 5≠4 unknown a@5+0, 2 conflict 5≠4 unknown a@5+1")
        #expect(log.queue.isEmpty)
    }

    @Test("answers, refusals and losses of a segment that was given up mean nothing")
    func lateAnswers() {
        var log = AppendQueueTranscript()
        log.add(1, "a", deadline: 1)
        log.add(2, "b", deadline: 60)
        log.send()
        #expect(log.expire(after: 60) == "1 unreachable unknown a@0+0, 2 unreachable unknown b@0+0; abandoned")
        log.add(3, "a", deadline: 90)
        #expect(log.answer(.written(0), .written(0)) == "")
        #expect(log.refuse("22000") == "")
        log.lose()
        #expect(log.send() == "a@0: 3")
        #expect(log.answer(.written(1)) == "3 at 1")
        #expect(log.answer(.written(1)) == "")
        #expect(log.queue.isEmpty)
    }

    // MARK: Time

    @Test(
        "what waits too long was not written; what was sent may have been, and its segment stays until all of it is over"
    )
    func deadlines() {
        var log = AppendQueueTranscript()
        log.add(1, "a", events: 3, deadline: 10)
        log.add(2, "a", deadline: 30)
        log.send()
        log.add(3, "a", deadline: 20)
        log.add(4, "b", deadline: 5)
        #expect(log.queue.firstDeadline == AppendQueueTranscript.start + .seconds(5))
        #expect(log.expire(after: 4) == "")
        #expect(log.expire(after: 5) == "4 unreachable notWritten")
        #expect(log.queue.firstDeadline == AppendQueueTranscript.start + .seconds(10))
        #expect(log.expire(after: 10) == "given up: 1 unreachable unknown a@0+0")
        #expect(log.queue.firstDeadline == AppendQueueTranscript.start + .seconds(20))
        #expect(log.expire(after: 20) == "3 unreachable notWritten")
        #expect(log.queue.firstDeadline == AppendQueueTranscript.start + .seconds(30))
        #expect(log.answer(.written(0)) == "1 at 0, 2 at 3")
        #expect(log.queue.isEmpty)
    }

    @Test("of a segment that is over all are told that it is unknown, but who was told before")
    func overdue() {
        var log = AppendQueueTranscript()
        log.add(1, "a", deadline: 10)
        log.add(2, "b", deadline: 30)
        log.send()
        #expect(log.expire(after: 10) == "given up: 1 unreachable unknown a@0+0")
        #expect(log.expire(after: 29) == "")
        log.add(3, "a", deadline: 40)
        #expect(log.expire(after: 30) == "1 unreachable unknown a@0+0, 2 unreachable unknown b@0+0; abandoned")
        #expect(log.send() == "a@0: 3")
    }

    @Test("a lost segment is sent again as it was while one of its appends is not over")
    func lostDeadline() {
        var log = AppendQueueTranscript()
        log.add(1, "a", deadline: 10)
        log.add(2, "b", deadline: 30)
        log.send()
        log.lose()
        #expect(log.queue.firstDeadline == AppendQueueTranscript.start + .seconds(10))
        #expect(log.expire(after: 10) == "given up: 1 unreachable unknown a@0+0")
        #expect(log.queue.firstDeadline == AppendQueueTranscript.start + .seconds(30))
        #expect(log.send() == "a@0: 1 | b@0: 2")
        log.lose()
        #expect(log.expire(after: 30) == "1 unreachable unknown a@0+0, 2 unreachable unknown b@0+0")
        #expect(log.queue.isEmpty)
        #expect(log.queue.firstDeadline == nil)
        #expect(log.send() == nil)
    }

    // MARK: Callers

    @Test("what waits can be taken back, what was sent cannot")
    func withdraw() {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.send()
        log.add(2, "a")
        log.add(3, "a")
        let first = log.withdraw(2)
        #expect(first)
        let second = log.withdraw(2)
        let sent = log.withdraw(1)
        let unknown = log.withdraw(9)
        #expect(!second && !sent && !unknown)
        log.lose()
        let lost = log.withdraw(1)
        #expect(!lost)
        log.send()
        #expect(log.answer(.written(0)) == "1 at 0")
        #expect(log.send() == "a@1: 3")
    }

    @Test("a receipt says where to look for what was sent; what was not sent has none")
    func receipts() throws {
        var log = AppendQueueTranscript()
        log.add(1, "a", events: 2)
        log.add(2, "a")
        log.add(3, "b", expecting: 8)
        let unsent = log.giveUp(1)
        #expect(unsent == nil)
        log.send()
        log.add(4, "a")
        let runs = try #require(log.segment?.runs)
        for _ in 0..<2 {
            let receipt = log.giveUp(2)
            let second = try #require(receipt)
            #expect(second.stream == runs[0].stream)
            #expect(second.position == 0)
            #expect(second.offset == 2)
            #expect(second.token == runs[0].token)
            let exact = log.giveUp(3)
            #expect(exact?.position == 8)
            #expect(exact?.offset == 0)
            let waiting = log.giveUp(4)
            #expect(waiting == nil)
            // The same while it waits to be sent again.
            log.lose()
        }
        log.send()
        log.answer(.written(0), .written(8))
        let answered = log.giveUp(2)
        #expect(answered == nil)
    }

    @Test("what has a receipt is never tried anew under another token: refused, it is not written")
    func givenUp() {
        for refuse in [
            { (log: inout AppendQueueTranscript) in log.refuse("55P03") },
            { log in log.refuse("22P02") },
            { log in log.answer(.behind(5000)) },
            { log in log.lose(sent: false) },
        ] {
            var log = AppendQueueTranscript()
            log.add(1, "a")
            log.add(2, "a")
            log.send()
            let receipt = log.giveUp(2)
            #expect(receipt != nil)
            #expect(refuse(&log) == "2 cancelled notWritten")
            log.endRests()
            let position = log.segment?.runs.first?.position
            log.send()
            #expect(log.segment?.runs.first?.appends.map(\.id) == [1])
            #expect(log.answer(.written(position ?? 0)).hasPrefix("1 at"))
            #expect(log.queue.isEmpty)
        }
    }

    @Test("what has a receipt and was lost is sent again as it was")
    func givenUpAndLost() {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.send()
        let receipt = log.giveUp(1)
        log.lose()
        #expect(log.send() == "a@0: 1")
        #expect(log.refuse("55P03") == "")
        log.endRests()
        #expect(log.send() == "a@0: 1")
        #expect(log.segment?.runs.first?.token == receipt?.token)
        #expect(log.answer(.written(0)) == "1 at 0")
    }

    @Test("closing gives up all: what was sent may have been written, the rest was not")
    func close() {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.send()
        log.add(2, "a")
        #expect(log.close() == "1 closed unknown a@0+0, 2 closed notWritten")
        #expect(log.queue.isEmpty)
        #expect(log.send() == nil)
        #expect(log.answer(.written(0)) == "")
        log.add(3, "a")
        log.send()
        log.lose()
        #expect(log.close() == "3 closed unknown a@0+0")
        #expect(log.close() == "")
    }
}
