import StreamHistory
import Testing

/// The checker, on histories with a failover to a standby that was behind: what may be lost, and what is still a broken
/// promise.
@Suite("The history checker and a failover")
struct FailoverHistoryTests {
    private typealias Law = Violation.Law

    private func id(_ writer: Int, _ number: Int) -> EventID { EventID(writer: writer, number: number) }

    private func end(_ history: inout History, _ events: EventID...) {
        history.end(0, with: events.enumerated().map { ($0.offset, $0.element) })
    }

    private func laws(_ history: History) -> Set<Law> { Set(history.violations().map(\.law)) }

    /// Events 0, 1, 2 of writer 0 are acknowledged at their positions, a tail has them, then the primary is lost.
    private func failedOver(isTold: Bool = true) -> (history: History, tail: Int) {
        var history = History()
        for n in 0..<3 {
            let append = history.begin(id(0, n), to: 0)
            history.acknowledge(append, at: n)
        }
        let tail = history.beginTail(of: 0, from: 0)
        for n in 0..<3 { history.deliver(id(0, n), at: n, to: tail) }
        if isTold {
            history.beginFailover()
            history.endFailover()
        }
        return (history, tail)
    }

    @Test("the end of a stream may be lost, its positions given again, and a tail that had it says so")
    func lostEnd() {
        var (history, tail) = failedOver()
        history.replaceTail(tail)
        let again = history.begin(id(1, 0), to: 0)
        history.acknowledge(again, at: 1)
        end(&history, id(0, 0), id(1, 0))
        #expect(history.violations().isEmpty, "\(history.violations())")
        #expect(history.lostEventCount == 2)
    }

    @Test("without a failover the same is lost, and the tail's word is none")
    func notToldOf() {
        var (history, tail) = failedOver(isTold: false)
        history.replaceTail(tail)
        end(&history, id(0, 0))
        #expect(laws(history) == [.acknowledgedIsThere, .replacedByFailoverOnly])
    }

    @Test("something lost before something kept is no end")
    func hole() {
        var (history, tail) = failedOver()
        history.replaceTail(tail)
        let filler = history.begin(id(1, 0), to: 0)
        history.acknowledge(filler, at: 1)
        end(&history, id(0, 0), id(1, 0), id(0, 2))
        // What fills the hole also stands before what was acknowledged before it began.
        #expect(laws(history) == [.acknowledgedIsThere, .ordered])
    }

    @Test("what the new primary acknowledged must be there")
    func afterwards() {
        var (history, tail) = failedOver()
        history.replaceTail(tail)
        let append = history.begin(id(1, 0), to: 0)
        history.acknowledge(append, at: 1)
        end(&history, id(0, 0))
        #expect(laws(history) == [.acknowledgedIsThere])
    }

    @Test("a tail that goes on behind what was lost, and does not say so, shows a log that never was")
    func silentTail() {
        var (history, tail) = failedOver()
        for (number, position) in [(0, 1), (1, 2), (2, 3)] {
            let append = history.begin(id(1, number), to: 0)
            history.acknowledge(append, at: position)
        }
        history.deliver(id(1, 2), at: 3, to: tail)
        end(&history, id(0, 0), id(1, 0), id(1, 1), id(1, 2))
        #expect(laws(history) == [.tailEqualsStream])
    }

    @Test("after it a read may have less than one before, and a writer be fenced by what is no longer known")
    func backwards() {
        var (history, tail) = failedOver()
        history.replaceTail(tail)
        let read = history.beginRead(of: 0)
        history.endRead(read, [id(0, 0)])
        let claim = history.beginClaim(of: 0)
        history.endClaim(claim, epoch: 1, position: 1)
        let fenced = history.begin(id(1, 0), to: 0, epoch: 2)
        history.fail(fenced, .notWritten, .fenced)
        end(&history, id(0, 0))
        #expect(history.violations().isEmpty, "\(history.violations())")
    }

    @Test("a claim may be lost too, and its epoch be given again; of those after it each has its own")
    func claims() {
        func history(epochs: [Int]) -> History {
            var history = History()
            let before = history.beginClaim(of: 0)
            history.endClaim(before, epoch: 1, position: 0)
            history.beginFailover()
            history.endFailover()
            for epoch in epochs {
                let claim = history.beginClaim(of: 0)
                history.endClaim(claim, epoch: epoch, position: 0)
            }
            end(&history)
            return history
        }
        #expect(history(epochs: [1, 2]).violations().isEmpty)
        #expect(laws(history(epochs: [1, 1])) == [.claimsRise])
    }
}
