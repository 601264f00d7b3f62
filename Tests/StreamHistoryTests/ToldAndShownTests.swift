import StreamHistory
import Testing

/// The checker, on what callers were told and readers shown that cannot have been so.
@Suite("The history checker, on what was told and shown")
struct ToldAndShownTests {
    private typealias Law = Violation.Law

    private func id(_ writer: Int, _ number: Int) -> EventID { EventID(writer: writer, number: number) }

    private func end(_ history: inout History, _ events: EventID...) {
        history.end(0, with: events.enumerated().map { ($0.offset, $0.element) })
    }

    private func laws(_ history: History) -> Set<Law> { Set(history.violations().map(\.law)) }

    // MARK: Told

    @Test("an unknown outcome that nobody can find out, as it has no receipt")
    func noReceipt() {
        for hasReceipt in [true, false] {
            var history = History()
            let append = history.begin(id(0, 0), to: 0)
            history.fail(append, .unknown, hasReceipt: hasReceipt)
            end(&history)
            #expect(laws(history) == (hasReceipt ? [] : [.outcomeIsSaid]))
        }
    }

    @Test("a writer that is fenced where nobody claimed, or only a lower epoch, or only afterwards")
    func falseFence() {
        func laws(claims: [Int], isAnswered: Bool = true, afterwards: Bool = false, writer epoch: Int) -> Set<Law> {
            var history = History()
            func claim(_ history: inout History) {
                for epoch in claims {
                    let claim = history.beginClaim(of: 0)
                    if isAnswered { history.endClaim(claim, epoch: epoch, position: 0) }
                }
            }
            if !afterwards { claim(&history) }
            let append = history.begin(id(0, 0), to: 0, epoch: epoch)
            history.fail(append, .notWritten, .fenced)
            if afterwards { claim(&history) }
            end(&history)
            return self.laws(history)
        }
        #expect(laws(claims: [], writer: 0) == [.refusedForAReason])
        #expect(laws(claims: [1], writer: 1) == [.refusedForAReason])
        #expect(laws(claims: [1], afterwards: true, writer: 0) == [.refusedForAReason])
        #expect(laws(claims: [1], writer: 0) == [])
        #expect(laws(claims: [1, 2], writer: 1) == [])
        // Of a claim that was not answered nobody knows the epoch.
        #expect(laws(claims: [2], isAnswered: false, writer: 1) == [])
    }

    @Test("a conflict where no position was expected")
    func falseConflict() {
        for (expecting, laws) in [(nil, [.refusedForAReason]), (0, [])] as [(Int?, Set<Law>)] {
            var history = History()
            let append = history.begin(id(0, 0), to: 0, expecting: expecting)
            history.fail(append, .notWritten, .conflict)
            end(&history)
            #expect(self.laws(history) == laws)
        }
    }

    @Test("a batch that was answered more or fewer positions than it has events")
    func range() {
        for (positions, laws) in [(0..<1, [.wholeBatches]), (0..<3, [.wholeBatches]), (0..<2, [])]
            as [(Range<Int>, Set<Law>)]
        {
            var history = History()
            let append = history.begin(id(0, 0), count: 2, to: 0)
            history.acknowledge(append, at: positions)
            end(&history, id(0, 0), id(0, 1))
            #expect(self.laws(history) == laws)
        }
    }

    @Test("a claim that was answered a position beyond the end, as it was then or ever")
    func claimBeyond() {
        func laws(position: Int) -> Set<Law> {
            var history = History()
            let first = history.begin(id(0, 0), to: 0)
            history.acknowledge(first, at: 0)
            let claim = history.beginClaim(of: 0)
            history.endClaim(claim, epoch: 1, position: position)
            // Nothing of that claim's is there, by which it could be told.
            let next = history.beginClaim(of: 0)
            history.endClaim(next, epoch: 2, position: 1)
            let second = history.begin(id(1, 0), to: 0, epoch: 2)
            history.acknowledge(second, at: 1)
            end(&history, id(0, 0), id(1, 0))
            return self.laws(history)
        }
        #expect(laws(position: 1) == [])
        #expect(laws(position: 2) == [.claimsRise])
        #expect(laws(position: 3) == [.claimsRise])
    }

    @Test("an event of a transaction without its row, and a row without its event")
    func transactions() {
        for (rows, laws) in [
            ([id(0, 0)], []), ([], [.wholeTransactions]), ([id(0, 0), id(0, 1)], [.wholeTransactions]),
        ] as [(Set<EventID>, Set<Law>)] {
            var history = History()
            let append = history.begin(id(0, 0), to: 0)
            history.acknowledge(append, at: 0)
            let failed = history.begin(id(0, 1), to: 0)
            history.fail(failed, .notWritten)
            end(&history, id(0, 0))
            history.endTransactions(of: [id(0, 0), id(0, 1)], rows: rows)
            #expect(self.laws(history) == laws)
        }
    }

    // MARK: Shown

    @Test("a tail that ended by itself, or for a reason that is none")
    func lostTail() {
        var history = History()
        let tail = history.beginTail(of: 0, from: 0)
        history.loseTail(tail, "the root has not closed")
        end(&history)
        #expect(laws(history) == [.tailGoesOn])
    }

    @Test("a read and a claim that lack an event which a reader had been shown before they began, acknowledged or not")
    func backwards() {
        /// One event is shown by a read or a tail while its append is under way, then `look` looks.
        func laws(byTail: Bool, _ look: (inout History) -> Void) -> Set<Law> {
            var history = History()
            let append = history.begin(id(0, 0), to: 0)
            if byTail {
                let tail = history.beginTail(of: 0, from: 0)
                history.deliver(id(0, 0), at: 0, to: tail)
            } else {
                let read = history.beginRead(of: 0)
                history.endRead(read, [id(0, 0)])
            }
            look(&history)
            history.acknowledge(append, at: 0)
            end(&history, id(0, 0))
            return self.laws(history)
        }
        for byTail in [true, false] {
            for events in [[], [id(0, 0)]] {
                let found = laws(byTail: byTail) { history in
                    let read = history.beginRead(of: 0)
                    history.endRead(read, events)
                }
                #expect(found == (events.isEmpty ? [.readIsPrefix] : []))
            }
            for position in [0, 1] {
                let found = laws(byTail: byTail) { history in
                    let claim = history.beginClaim(of: 0)
                    history.endClaim(claim, epoch: 1, position: position)
                }
                #expect(position == 1 ? found.isEmpty : found.contains(.claimsRise))
            }
        }
    }

    @Test("of two reads that overlap either may have seen more")
    func overlappingReads() {
        var history = History()
        let append = history.begin(id(0, 0), to: 0)
        let (early, late) = (history.beginRead(of: 0), history.beginRead(of: 0))
        history.endRead(late, [id(0, 0)])
        history.endRead(early, [])
        history.acknowledge(append, at: 0)
        end(&history, id(0, 0))
        #expect(history.violations().isEmpty)
    }

    @Test("an event that was shown before its append began")
    func shownTooEarly() {
        for byTail in [true, false] {
            var history = History()
            if byTail {
                let tail = history.beginTail(of: 0, from: 0)
                history.deliver(id(0, 0), at: 0, to: tail)
            } else {
                let read = history.beginRead(of: 0)
                history.endRead(read, [id(0, 0)])
            }
            let append = history.begin(id(0, 0), to: 0)
            history.acknowledge(append, at: 0)
            end(&history, id(0, 0))
            #expect(laws(history) == [.noStrangers])
        }
    }

    @Test("a replay index that differs from its stream")
    func replay() {
        var history = History()
        history.replay(of: 0, differsAt: 3)
        end(&history)
        #expect(laws(history) == [.replayEqualsStream])
    }

    @Test("a stream of which a reader was told that events are missing")
    func damaged() {
        var history = History()
        history.damage(of: 0, "events are missing")
        end(&history)
        #expect(laws(history) == [.dense])
    }
}
