import Testing
import TisynStreams

@testable import PostgresStreams

/// What becomes of streams that somebody holds, and of their neighbours.
@Suite("The append queue: streams that are held")
struct AppendQueueRestTests {
    @Test("a stream that is held although its append goes alone rests, while the others go on, and comes behind them")
    func rests() {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.add(2, "b")
        log.send()
        log.refuse("55P03")
        #expect(log.send() == "a@0: 1")
        #expect(log.lockPatience == .milliseconds(100))
        log.add(3, "a")
        #expect(log.refuse("55P03") == "")
        #expect(log.send() == "b@0: 2")
        log.answer(.written(0))
        #expect(log.queue.firstRestEnd != nil)
        #expect(log.send() == nil)
        log.add(4, "c")
        log.endRests()
        #expect(log.queue.firstRestEnd == nil)
        #expect(log.send() == "c@0: 4")
        log.answer(.written(0))
        #expect(log.send() == "a@0: 1")
        log.answer(.written(0))
        #expect(log.send() == "a@1: 3")
        log.answer(.written(1))
        #expect(log.queue.isEmpty)
    }

    @Test("what rests can be taken back, and its error says why it was not written")
    func restsNoMore() {
        var log = AppendQueueTranscript()
        for id in 1...2 {
            log.add(id, "a", deadline: 10)
            log.send()
            log.refuse("55P03")
            #expect(log.queue.firstRestEnd != nil)
            if id == 1 {
                #expect(log.withdraw(1) == true)
            } else {
                let expired = log.queue.expire(
                    at: AppendQueueTranscript.start + .seconds(10),
                    because: .init(.unreachable, "gone")
                )
                #expect(throws: JournalError.self) { try expired.resolutions.first?.result.get() }
                #expect("\(expired.resolutions.map(\.result))".contains("55P03"))
                #expect("\(expired.resolutions.map(\.result))".contains("another transaction held the stream until"))
            }
            #expect(log.queue.isEmpty)
            #expect(log.queue.firstRestEnd == nil)
        }
        log.add(3, "a")
        #expect(log.send() == "a@0: 3")
    }

    @Test("what is held is not tried so late that its deadline would find it waiting, and waits for less than is left")
    func restsUntilDeadline() {
        var log = AppendQueueTranscript()
        log.add(1, "a", deadline: 10)
        log.send()
        log.refuse("55P03")
        let deadline = AppendQueueTranscript.start + .seconds(10)
        var time = Duration.zero
        var count = 0
        while let end = log.queue.firstRestEnd, end < deadline {
            time = end - AppendQueueTranscript.start
            log.queue.endRests(at: end)
            #expect(log.send() == "a@0: 1")
            let patience = log.lockPatience(after: time) ?? .zero
            #expect(patience >= .milliseconds(100))
            #expect(time + patience + .milliseconds(100) <= .seconds(10))
            log.refuse("55P03", after: time + patience)
            count += 1
        }
        #expect(count > 5)
        // However long the pauses were: a stream that became free late is not given up unasked.
        #expect(time == .milliseconds(9800))
        let expired = log.expire(after: 10)
        #expect(expired.contains("notWritten"), "\(expired)")
        #expect(log.queue.isEmpty)
    }

    @Test("what came while its stream was held goes alone too: it keeps no others waiting, and is given up in time")
    func cameLater() {
        var log = AppendQueueTranscript()
        log.add(1, "a", deadline: 10)
        log.send()
        log.add(2, "a", deadline: 11)
        log.add(3, "a", deadline: 12)
        log.refuse("55P03")
        #expect(log.expire(after: 10).contains("notWritten"))
        log.add(4, "b")
        log.endRests()
        #expect(log.send() == "b@0: 4")
        log.answer(.written(0))
        #expect(log.send() == "a@0: 2")
        #expect(log.lockPatience(after: .seconds(10)) == .milliseconds(100))
        #expect(log.refuse("55P03", after: .milliseconds(10_100)) == "")
        log.endRests()
        #expect(log.send() == "a@0: 2")
        log.answer(.written(0))
        #expect(log.send() == "a@1: 3")
    }

    @Test("of the connections one is kept from those that go alone: each may wait for a lock")
    func loneConnections() {
        var log = AppendQueueTranscript(.init(bytes: 1 << 20, segmentsUnderWay: 3, alone: 1))
        for (id, stream) in ["a", "b", "c"].enumerated() { log.add(id, stream) }
        log.send()
        log.refuse("55P03")
        #expect(log.send() == "a@0: 0")
        #expect(log.send() == nil)
        log.add(3, "d")
        log.add(4, "e")
        #expect(log.send() == "d@0: 3 | e@0: 4")
        #expect(log.send() == nil)
    }

    @Test(
        "sendings that were lost and are held up take turns with what is new, lose no patience, and say why in the end"
    )
    func lostAndHeld() {
        var log = AppendQueueTranscript()
        log.add(1, "a")
        log.add(2, "b")
        log.send()
        log.lose()
        log.send()
        log.refuse("55P03")
        for round in 0..<4 {
            #expect(["a@0: 1", "b@0: 2"].contains(log.send() ?? ""))
            log.refuse("55P03")
            log.endRests()
            log.add(10 + round, "c")
            #expect(log.send() == "c@\(round): \(10 + round)")
            log.answer(.written(round))
        }
        // It goes on as it was after another loss.
        #expect(log.send() == "a@0: 1")
        log.lose()
        #expect(log.send() == "b@0: 2" || log.segment?.runs.first?.appends.first?.id == 1)
        #expect(log.lockPatience != nil)
        log.refuse("55P03")
        let expired = log.queue.expire(
            at: AppendQueueTranscript.start + .seconds(60),
            because: .init(.unreachable, "gone")
        )
        #expect(expired.resolutions.count == 2)
        #expect("\(expired.resolutions.map(\.result))".contains("55P03"))
    }

    @Test("who waits behind an append that is held is told the same reason, now or later; a cancelled one ends no rest")
    func behindHeld() {
        var log = AppendQueueTranscript()
        log.add(1, "a", deadline: 10)
        log.add(2, "a", deadline: 10)
        log.add(3, "a", deadline: 20)
        log.send(atMost: 1)
        log.refuse("55P03")
        log.endRests()
        #expect(log.send() == "a@0: 1")
        for seconds in [10, 20] {
            let time = AppendQueueTranscript.start + .seconds(seconds)
            let expired = log.queue.expire(at: time, because: .init(.unreachable, "gone"))
            #expect(expired.resolutions.count == (seconds == 10 ? 2 : 1))
            for resolution in expired.resolutions { #expect("\(resolution.result)".contains("55P03")) }
        }
        #expect(log.queue.isEmpty)

        log.add(4, "b")
        log.send()
        log.lose()
        log.send()
        log.refuse("55P03")
        let rest = log.queue.firstRestEnd
        #expect(rest != nil)
        log.add(5, "b")
        #expect(log.withdraw(5) == true)
        #expect(log.queue.firstRestEnd == rest)
    }
}
