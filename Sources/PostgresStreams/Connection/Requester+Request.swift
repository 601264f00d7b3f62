import LibPQ

extension Requester {
    /// What is asked, and what has become of it so far.
    struct Request {
        var id: Int
        /// Whose is less is sent first.
        var turn: Int
        /// In one transaction; the answer is the last one's.
        var commands: [(Statement, Parameters)]
        /// Nil: it is repeated as long as the journal is open.
        var deadline: ContinuousClock.Instant?
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

        func mayBeSent(at now: ContinuousClock.Instant) -> Bool { restsUntil.map { $0 <= now } ?? true }
    }
}
