import LibPQ

extension Requester {
    /// What is asked, and what has become of it so far.
    struct Request {
        var id = 0
        /// Whose is less is sent first.
        var turn = 0
        /// In one transaction; the answer is the last one's.
        var commands: [(Statement, Parameters)]
        /// Nil: it is repeated as long as the journal is open.
        var deadline: ContinuousClock.Instant?
        /// It waits for a stream's lock, which somebody may hold for long.
        var waitsForLock: Bool
        let askedAt = ContinuousClock.now
        /// SQLSTATEs that are an answer, though they pass.
        var finalStates: Set<String>
        var completion: Completion
        /// Why it was refused last, for a reason that passes.
        var refusal: ServerMessage?
        var pause = BackOff()
        /// It is not sent again before.
        var restsUntil: ContinuousClock.Instant?
        /// How often the connection was lost while the server was at it.
        var losses = 0
        /// Whoever asked has gone: it is not sent again.
        var isWithdrawn = false
        /// The deadline passed while it was on the wire. Whoever asked has been told, and it keeps its place there.
        var isOverdue = false

        /// So long does a connection say nothing while this is overdue, until it is taken for dead.
        /// A second at least, however short the deadline: one that is asked something late is not dead for that.
        var longestSilence: Duration {
            let longest = Link.longestSilence
            return deadline.map { max(.seconds(1), min(longest, $0 - askedAt)) } ?? longest
        }

        /// How long it may wait for its lock this time, where so many do.
        ///
        /// The connection's requests are answered one after the other: what one may wait is what all behind it wait. So
        /// they share half a second; what is not got in that time is asked for again, behind all that wait by then. The
        /// server lets those who wait for a lock have it in the order they came: 50 ms are enough to have a turn among
        /// appends, which hold it for a commit each. It is over before the deadline, so that it can be told what was in
        /// the way.
        func lockPatience(among count: Int, at now: ContinuousClock.Instant) -> Duration {
            let share = max(.milliseconds(50), .milliseconds(500) / max(1, count))
            guard let deadline else { return share }
            return max(.milliseconds(1), min(share, (deadline - now) / 2))
        }

        func mayBeSent(at now: ContinuousClock.Instant) -> Bool { restsUntil.map { $0 <= now } ?? true }
    }
}
