import TisynStreams

/// Whether everything held that the demo is about: journal, ledger and tail compared after the fact.
struct DemoAudit: Sendable {
    /// One thing that was checked, in words that hold the numbers.
    struct Check: Sendable {
        let holds: Bool
        let text: String
    }

    /// The journal, read back at the end.
    let events: [DurableEvent]
    let tailed: [TailedLine]
    let ledger: [EffectLedger.Entry]
    /// The next position when the second worker claimed the stream: events below it were recorded by the first.
    let takeover: Int
    /// How many effects the second worker said it took from the journal.
    let replayedCount: Int

    private struct Effect: Hashable {
        let coroutine: String
        let index: Int
    }

    /// The recorded effects in order, with their positions.
    private var recorded: [(effect: Effect, position: Int)] {
        var counts: [CoroutineID: Int] = [:]
        return events.enumerated().compactMap { position, event in
            guard event.kind == .yield else { return nil }
            defer { counts[event.coroutineID, default: 0] += 1 }
            return (Effect(coroutine: event.coroutineID.string, index: counts[event.coroutineID] ?? 0), position)
        }
    }

    private func ran(in run: Int) -> Set<Effect> {
        Set(ledger.filter { $0.run == run }.map { Effect(coroutine: $0.coroutine, index: $0.index) })
    }

    /// The effects that both workers ran, by name.
    var ranTwice: [String] {
        let first = ran(in: 1)
        return ledger.filter { $0.run == 2 && first.contains(Effect(coroutine: $0.coroutine, index: $0.index)) }
            .map(\.effect)
    }

    var liveCount: Int { ran(in: 2).count }

    var checks: [Check] {
        let recorded = recorded
        let before = recorded.filter { $0.position < takeover }.map(\.effect)
        let ranAgain = ran(in: 2).intersection(before)
        let everRan = ran(in: 1).union(ran(in: 2))
        let expectedEvents = OrderWorkflow.effectCount + OrderWorkflow.coroutineCount
        let isTailExact =
            tailed.map(\.position) == Array(0..<events.count) && tailed.map(\.event) == events
        return [
            Check(
                holds: ranAgain.isEmpty && !before.isEmpty && ledger.count == ran(in: 1).count + liveCount,
                text: "\(ranAgain.count) effects ran twice whose event was recorded "
                    + "(\(before.count) recorded before the kill, \(ledger.count) runs in all)"
            ),
            Check(
                holds: replayedCount == before.count,
                text: "\(replayedCount) effects were replayed, \(before.count) were there to be"
            ),
            Check(
                holds: Set(recorded.map(\.effect)) == everRan && recorded.count == OrderWorkflow.effectCount,
                text:
                    "\(recorded.count) of the workflow's \(OrderWorkflow.effectCount) effects are recorded, each once, "
                    + "and every one of them ran"
            ),
            Check(
                holds: events.count == expectedEvents && isClosed,
                text: "\(events.count) of \(expectedEvents) events are in the journal; the last closes root with ok"
            ),
            Check(
                holds: isTailExact,
                text: "\(tailed.count) lines came from the tail: every event once, in order, byte for byte"
            ),
        ]
    }

    private var isClosed: Bool {
        guard let last = events.last, last.kind == .close, last.coroutineID == .root, case .ok? = try? last.result()
        else {
            return false
        }
        return true
    }
}
