import LibPQ
import TisynStreams

/// What one transaction appends: for each of its streams one run of events.
struct Segment: Sendable {
    /// Appends to one stream, one after the other, with one token: all of them are written or none.
    struct Run: Sendable {
        var stream: StreamName
        /// The stream's, in the queue.
        var lane = 0
        var epoch: Int?
        /// Exact: where the first event goes. Otherwise: the lowest position it can have.
        var position: Int
        var isExact: Bool
        var token: Token
        var appends: [Append]
        /// What it goes behind, where we know: the stream's last append is ours.
        var predecessor: Predecessor?

        var eventCount: Int { appends.reduce(0) { $0 + $1.events.count } }
    }

    /// The append that a stream ended with when we last heard of it, one of ours.
    struct Predecessor: Sendable, Equatable {
        var streamID: Int
        var token: Token
    }

    /// What the server answered to a run.
    struct Answer: Sendable, Equatable {
        enum Outcome: String, Sendable { case written, conflict, behind, fenced }

        var outcome: Outcome
        var position: Int?
        var epoch: Int
        var streamID: Int
    }

    /// Tells one sending from another in this process; the server never sees it.
    var id: Int
    var runs: [Run]
    /// Whether it goes by the view `appends`, or by `append_next`, which inserts into that: each run is one event behind a
    /// predecessor that we know.
    private(set) var isChained: Bool

    init(id: Int, runs: [Run]) {
        self.id = id
        self.runs = runs
        isChained = runs.allSatisfy { run in
            run.predecessor != nil && run.appends.count == 1 && run.appends[0].events.count == 1
        }
    }

    /// The same, tokens and positions included, by `append_batch`: whatever happened to it, that knows.
    mutating func unchain() { isChained = false }

    /// The append is marked as given up; nil where the segment does not hold it.
    ///
    /// - Returns: the append as it was, and what finds it again.
    mutating func giveUp(_ id: Int) -> (Append, AppendReceipt)? { giveUp { $0.id == id }.first }

    /// The same for those whose deadline is over.
    mutating func giveUp(overdueAt now: ContinuousClock.Instant) -> [(Append, AppendReceipt)] {
        giveUp { !$0.isGivenUp && $0.deadline <= now }
    }

    private mutating func giveUp(where isGiven: (Append) -> Bool) -> [(Append, AppendReceipt)] {
        var given: [(Append, AppendReceipt)] = []
        for run in runs.indices {
            var offset = 0
            for index in runs[run].appends.indices {
                let append = runs[run].appends[index]
                if isGiven(append) {
                    given.append((append, runs[run].receipt(offset: offset)))
                    runs[run].appends[index].isGivenUp = true
                }
                offset += append.events.count
            }
        }
        return given
    }

    func isOverdue(at now: ContinuousClock.Instant) -> Bool {
        runs.contains { $0.appends.contains { $0.deadline <= now } }
    }

    /// Whether nobody waits for its answer any more: all its appends' deadlines are over.
    func isOver(at now: ContinuousClock.Instant) -> Bool {
        runs.allSatisfy { $0.appends.allSatisfy { $0.deadline <= now } }
    }

    /// When it is over, or before that one of its callers gives up.
    var firstDeadline: ContinuousClock.Instant? {
        let appends = runs.lazy.flatMap(\.appends)
        return appends.filter { !$0.isGivenUp }.map(\.deadline).min() ?? appends.map(\.deadline).max()
    }

    var appendCount: Int { runs.reduce(0) { $0 + $1.appends.count } }

    var eventCount: Int { runs.reduce(0) { $0 + $1.eventCount } }

    var byteCount: Int { runs.reduce(0) { $0 + $1.appends.reduce(0) { $0 + $1.byteCount } } }
}

extension Segment.Run {
    /// Whether this append can follow the run's last one; `eventCount` is the run's so far.
    func accepts(_ append: Append, after eventCount: Int) -> Bool {
        guard append.epoch == epoch, !append.goesAlone else { return false }
        return isExact ? append.expecting == position + eventCount : append.expecting == nil
    }

    func receipt(offset: Int) -> AppendReceipt {
        AppendReceipt(stream: stream, epoch: epoch, position: position, token: token, offset: offset)
    }
}
