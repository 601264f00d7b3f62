import Testing

@testable import PostgresStreams

/// Which appends go behind their predecessor by the view `appends`, and what becomes of those that cannot.
@Suite("The append queue, when appends are chained")
struct AppendQueueChainTests {
    /// A queue whose streams `a` and `b` have one event each, its own.
    private func begun() -> AppendQueueTranscript {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.add(2, "b", epoch: 3)
        log.send()
        log.answer(.written(4), .written(9, epoch: 3))
        return log
    }

    @Test("the first append to a stream is not chained; the next is, to the token of the last")
    func next() throws {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.send()
        let first = try #require(log.segment)
        #expect(!first.isChained)
        log.answer(.written(4))
        log.add(2, "a")
        #expect(log.send() == "a@5: 2")
        #expect(log.segment?.isChained == true)
        #expect(log.segment?.runs[0].predecessor == .init(streamID: 1, token: first.runs[0].token))
        #expect(log.answer(.written(5)) == "2 at 5")
    }

    @Test("not chained: two events, another epoch, another expectation, a stream that is not known")
    func unchained() {
        for wrong in 0..<5 {
            var log = begun()
            switch wrong {
            case 0: log.add(3, "a", events: 2)
            case 1: log.add(3, "a", epoch: 1)
            case 2: log.add(3, "b")
            case 3: log.add(3, "a", expecting: 7)
            default: log.add(3, "c")
            }
            log.send()
            #expect(log.segment?.isChained == false, "\(wrong)")
        }
        var log = begun()
        log.add(3, "a", expecting: 5)
        log.add(4, "b", epoch: 3)
        log.send()
        #expect(log.segment?.isChained == true)
    }

    @Test("what a chained segment did not write goes the other way, as it was, and then has a known outcome")
    func none() throws {
        var log = begun()
        log.add(3, "a", expecting: 5)
        log.send()
        let token = try #require(log.segment?.runs[0].token)
        log.answerPartly(0)
        #expect(log.send() == "a@5!: 3")
        #expect(log.segment?.isChained == false)
        #expect(log.segment?.runs[0].token == token)
        #expect(log.answer(.conflict(2)) == "3 conflict 5≠2 notWritten")
    }

    @Test("where some of it was written, a conflict does not say that nothing was")
    func some() {
        var log = begun()
        log.add(3, "a", expecting: 5)
        log.add(4, "b", epoch: 3)
        log.send()
        log.answerPartly(1)
        #expect(log.send() == "a@5!: 3 | b@10#3: 4")
        #expect(log.answer(.conflict(2), .written(10, epoch: 3)) == "3 conflict 5≠2 unknown a@5+0, 4 at 10")
    }

    @Test("a collision sends the segment the other way at once, as it was")
    func collision() throws {
        var log = begun()
        log.add(3, "a")
        log.send()
        let token = try #require(log.segment?.runs[0].token)
        #expect(log.refuse(SQLState.uniqueViolation) == "")
        #expect(log.send() == "a@5: 3")
        #expect(log.segment?.isChained == false)
        #expect(log.segment?.runs[0].token == token)
        #expect(log.answer(.written(6)) == "3 at 6")
    }

    @Test("a fenced writer's later appends go to where the server says so, without a collision each")
    func fenced() {
        var log = begun()
        log.add(3, "b", epoch: 3)
        log.send()
        #expect(log.refuse(SQLState.uniqueViolation) == "")
        log.send()
        #expect(log.answer(.fenced(by: 4)) == "3 fenced 3<4 notWritten")
        log.add(4, "b", epoch: 3)
        log.send()
        #expect(log.segment?.isChained == false)
    }

    @Test("after another writer came between, a stream's appends are not chained for a while; other streams' are")
    func contention() {
        var log = begun()
        log.add(3, "a")
        log.send()
        log.answerPartly(0)
        log.send()
        log.answer(.written(6))
        var unchained = 0
        for id in 4..<200 {
            log.add(id, "a")
            log.send()
            if log.segment?.isChained == true { break }
            unchained += 1
            log.answer(.written(id + 3))
        }
        #expect(unchained == 64)
        log.add(200, "b", epoch: 3)
        log.send()
        #expect(log.segment?.isChained == true)
    }

    @Test("a lost chained segment goes the other way, which knows whether it was written")
    func lost() {
        var log = begun()
        log.add(3, "a")
        log.send()
        log.lose()
        #expect(log.send() == "a@5: 3")
        #expect(log.segment?.isChained == false)
        #expect(log.answer(.written(5)) == "3 at 5")
    }
}
