import StreamHistory
import Testing

/// The checker, on good histories and on bad ones: each law is broken once, and found broken for that reason alone.
@Suite("The history checker")
struct HistoryTests {
    private typealias Law = Violation.Law

    private func id(_ writer: Int, _ number: Int) -> EventID { EventID(writer: writer, number: number) }

    /// Writer 0 appends events 0, 1, 2 one after the other, acknowledged at their positions.
    private func threeAppends() -> History {
        var history = History()
        for n in 0..<3 {
            let append = history.begin(id(0, n), to: 0)
            history.acknowledge(append, at: n)
        }
        return history
    }

    private func end(_ history: inout History, _ events: EventID?...) {
        history.end(0, with: events.enumerated().map { ($0.offset, $0.element) })
    }

    private func laws(_ history: History) -> Set<Law> { Set(history.violations().map(\.law)) }

    // MARK: Good histories

    @Test("a good history of appends, batches, claims, reads and tails breaks nothing")
    func good() {
        var history = threeAppends()
        let read = history.beginRead(of: 0)
        history.endRead(read, [id(0, 0), id(0, 1), id(0, 2)])
        let claim = history.beginClaim(of: 0)
        history.endClaim(claim, epoch: 1, position: 3)
        let fenced = history.begin(id(1, 0), to: 0)
        history.fail(fenced, .notWritten)
        let batch = history.begin(id(2, 0), count: 2, to: 0, epoch: 1, expecting: 3)
        history.acknowledge(batch, at: 3)
        for (start, isComplete) in [(0, true), (4, true), (1, false)] {
            let tail = history.beginTail(of: 0, from: start)
            let events = [id(0, 0), id(0, 1), id(0, 2), id(2, 0), id(2, 1)]
            for position in start..<(isComplete ? 5 : 3) { history.deliver(events[position], at: position, to: tail) }
            if isComplete { history.completeTail(tail) }
        }
        end(&history, id(0, 0), id(0, 1), id(0, 2), id(2, 0), id(2, 1))
        #expect(history.violations().isEmpty)
    }

    @Test("an unknown outcome may be either")
    func unknown() {
        for isThere in [true, false] {
            var history = History()
            let append = history.begin(id(0, 0), to: 0)
            history.fail(append, .unknown)
            _ = history.begin(id(0, 1), to: 0)
            if isThere { end(&history, id(0, 0)) } else { end(&history) }
            #expect(history.violations().isEmpty)
        }
    }

    @Test("appends that overlap in time may stand in either order")
    func overlapping() {
        var history = History()
        let first = history.begin(id(0, 0), to: 0)
        let second = history.begin(id(1, 0), to: 0)
        history.acknowledge(first, at: 1)
        history.acknowledge(second, at: 0)
        end(&history, id(1, 0), id(0, 0))
        #expect(history.violations().isEmpty)
    }

    @Test("an append under way during a claim may be on either side of it, but is there with its own epoch")
    func claimDuringAppend() {
        var history = History()
        let append = history.begin(id(0, 0), to: 0)
        let claim = history.beginClaim(of: 0)
        history.endClaim(claim, epoch: 1, position: 1)
        history.acknowledge(append, at: 0)
        end(&history, id(0, 0))
        #expect(history.violations().isEmpty)
    }

    // MARK: Bad ones

    @Test("an acknowledged event that is missing, and one that stands elsewhere")
    func lost() {
        var missing = threeAppends()
        end(&missing, id(0, 0), id(0, 1))
        #expect(laws(missing) == [.acknowledgedIsThere])
        var moved = History()
        let append = moved.begin(id(0, 0), to: 0)
        let other = moved.begin(id(1, 0), to: 0)
        moved.acknowledge(append, at: 0)
        moved.fail(other, .unknown)
        end(&moved, id(1, 0), id(0, 0))
        #expect(laws(moved) == [.acknowledgedIsThere])
    }

    @Test("a fault that shows everywhere is named once a place, and hides no other")
    func floods() {
        var history = threeAppends()
        for _ in 0..<100 { history.damage(of: 1, "position 39 is missing") }
        for position in 0..<100 { history.damage(of: 2, "position \(position) is missing") }
        end(&history, id(0, 0), id(0, 1))
        let violations = history.violations()
        #expect(violations.count { $0.law == .dense && $0.stream == 1 } == 1)
        #expect(violations.count { $0.law == .dense } == 10)
        #expect(violations.count { $0.law == .acknowledgedIsThere } == 1)
    }

    @Test("an event that is there twice, acknowledged or not")
    func twice() {
        var history = threeAppends()
        end(&history, id(0, 0), id(0, 1), id(0, 2), id(0, 1))
        #expect(laws(history) == [.onceAtMost])
        var unacknowledged = History()
        let append = unacknowledged.begin(id(0, 0), to: 0)
        unacknowledged.fail(append, .unknown)
        end(&unacknowledged, id(0, 0), id(0, 0))
        #expect(laws(unacknowledged) == [.onceAtMost])
    }

    @Test("an event nobody appended, one that was altered, and one of another stream")
    func strangers() {
        var history = threeAppends()
        end(&history, id(0, 0), id(0, 1), id(0, 2), id(7, 0))
        #expect(laws(history) == [.noStrangers])
        var altered = threeAppends()
        end(&altered, id(0, 0), id(0, 1), id(0, 2), nil)
        #expect(laws(altered) == [.noStrangers])
        var strayed = threeAppends()
        let append = strayed.begin(id(1, 0), to: 1)
        strayed.fail(append, .unknown)
        end(&strayed, id(0, 0), id(0, 1), id(0, 2), id(1, 0))
        #expect(laws(strayed) == [.noStrangers])
    }

    @Test("positions with a gap")
    func gap() {
        var history = History()
        for n in 0..<2 {
            let append = history.begin(id(0, n), to: 0)
            history.fail(append, .unknown)
        }
        history.end(0, with: [(0, id(0, 0)), (2, id(0, 1))])
        #expect(laws(history) == [.dense])
    }

    @Test("what was reported as not written is there, what was reported as written is not")
    func wrongOutcomes() {
        var history = threeAppends()
        let append = history.begin(id(1, 0), to: 0)
        history.fail(append, .notWritten)
        end(&history, id(0, 0), id(0, 1), id(0, 2), id(1, 0))
        #expect(laws(history) == [.notWrittenIsAbsent])
        var absent = threeAppends()
        let other = absent.begin(id(1, 0), to: 0)
        absent.fail(other, .written)
        end(&absent, id(0, 0), id(0, 1), id(0, 2))
        #expect(laws(absent) == [.writtenIsThere])
    }

    @Test("an unknown outcome that was resolved wrongly")
    func wrongResolution() {
        var history = threeAppends()
        let append = history.begin(id(1, 0), to: 0)
        history.fail(append, .unknown)
        history.resolve(append, .acknowledged(at: 3))
        end(&history, id(0, 0), id(0, 1), id(0, 2))
        #expect(laws(history) == [.acknowledgedIsThere])
    }

    @Test("a batch that is torn, and one of which only the end is there")
    func torn() {
        for events in [[id(0, 0), id(1, 0), id(0, 1)], [id(0, 0), id(1, 0)], [id(0, 1), id(1, 0)]] {
            var history = History()
            let batch = history.begin(id(0, 0), count: 2, to: 0)
            history.fail(batch, .unknown)
            let other = history.begin(id(1, 0), to: 0)
            history.fail(other, .unknown)
            history.end(0, with: events.enumerated().map { ($0.offset, $0.element) })
            #expect(laws(history) == [.wholeBatches])
        }
    }

    @Test("an append that overtook one that had been acknowledged before it began")
    func overtaken() {
        var history = History()
        let first = history.begin(id(0, 0), to: 0)
        history.acknowledge(first, at: 1)
        let second = history.begin(id(0, 1), to: 0)
        history.acknowledge(second, at: 0)
        end(&history, id(0, 1), id(0, 0))
        #expect(laws(history) == [.ordered])
    }

    @Test("an append for one position that was acknowledged at another")
    func inexact() {
        var history = History()
        let append = history.begin(id(0, 0), to: 0, expecting: 5)
        history.acknowledge(append, at: 0)
        end(&history, id(0, 0))
        #expect(laws(history) == [.exactPosition])
    }

    @Test("a fenced writer's event past the claim, and an acknowledgement after it")
    func fences() {
        var written = threeAppends()
        let late = written.begin(id(1, 0), to: 0)
        let claim = written.beginClaim(of: 0)
        written.endClaim(claim, epoch: 1, position: 3)
        written.fail(late, .unknown)
        end(&written, id(0, 0), id(0, 1), id(0, 2), id(1, 0))
        #expect(laws(written) == [.fenced])
        var acknowledged = History()
        let early = acknowledged.beginClaim(of: 0)
        acknowledged.endClaim(early, epoch: 1, position: 0)
        let append = acknowledged.begin(id(1, 0), to: 0)
        acknowledged.acknowledge(append, at: 0)
        end(&acknowledged, id(1, 0))
        #expect(laws(acknowledged) == [.fenced])
    }

    @Test("claims that do not rise, that share an epoch, or that overlook what was acknowledged")
    func claims() {
        var falling = History()
        for epoch in [2, 1] {
            let claim = falling.beginClaim(of: 0)
            falling.endClaim(claim, epoch: epoch, position: 0)
        }
        end(&falling)
        #expect(laws(falling) == [.claimsRise])
        var shared = History()
        let (one, two) = (shared.beginClaim(of: 0), shared.beginClaim(of: 0))
        shared.endClaim(one, epoch: 1, position: 0)
        shared.endClaim(two, epoch: 1, position: 0)
        end(&shared)
        #expect(laws(shared) == [.claimsRise])
        var blind = threeAppends()
        let claim = blind.beginClaim(of: 0)
        blind.endClaim(claim, epoch: 1, position: 2)
        end(&blind, id(0, 0), id(0, 1), id(0, 2))
        #expect(laws(blind).contains(.claimsRise))
    }

    @Test("a tail that skips, repeats, delivers something else, more than there is, or ends early")
    func tails() {
        let there = [id(0, 0), id(0, 1), id(0, 2)]
        let bad: [[(Int, EventID?)]] = [
            [(0, there[0]), (2, there[2])], [(0, there[0]), (0, there[0]), (1, there[1]), (2, there[2])],
            [(0, there[0]), (1, there[2]), (2, there[1])], [(0, there[0]), (1, nil), (2, there[2])],
            [(0, there[0]), (1, there[1])],
            [(0, there[0]), (1, there[1]), (2, there[2]), (3, there[2])],
        ]
        for deliveries in bad {
            var history = threeAppends()
            let tail = history.beginTail(of: 0, from: 0)
            for (position, event) in deliveries { history.deliver(event, at: position, to: tail) }
            history.completeTail(tail)
            end(&history, there[0], there[1], there[2])
            #expect(laws(history) == [.tailEqualsStream], "\(deliveries)")
        }
    }

    @Test("a read that differs from the stream, and one that lacks what had been acknowledged")
    func reads() {
        for events in [[id(0, 1), id(0, 0), id(0, 2)], [id(0, 0)], [nil, id(0, 1), id(0, 2)]] {
            var history = threeAppends()
            let read = history.beginRead(of: 0)
            history.endRead(read, events)
            end(&history, id(0, 0), id(0, 1), id(0, 2))
            #expect(laws(history) == [.readIsPrefix])
        }
    }

    @Test("an append that fails without a word of its outcome")
    func silent() {
        var history = History()
        let append = history.begin(id(0, 0), to: 0)
        history.fail(append, nil)
        end(&history)
        #expect(laws(history) == [.outcomeIsSaid])
    }

    @Test("an event's name survives being written and read; other names are none")
    func names() {
        #expect(EventID("12.345") == id(12, 345))
        #expect(EventID(id(-1, 7).description) == id(-1, 7))
        for text in ["", "1", "1.2.3", "a.b", "1.", "root"] { #expect(EventID(text) == nil) }
    }
}
