/// How long a link waits before it connects again. No IO.
struct Reconnection {
    private var backOff = BackOff()
    /// When the last attempt began, its pause included.
    private var begin: ContinuousClock.Instant?
    /// When that brought a session.
    private var ready: ContinuousClock.Instant?

    /// Before the next attempt.
    var pause: Duration { backOff.delay }

    mutating func began(at now: ContinuousClock.Instant) {
        begin = now
        ready = nil
    }

    mutating func succeeded(at now: ContinuousClock.Instant) { ready = now }

    /// The session is lost, or there was none.
    ///
    /// The pauses are short again after a session that lived for longer than it took to get. Where each is cut as soon as it
    /// is there, they grow as if there were none.
    mutating func ended(at now: ContinuousClock.Instant) {
        if let begin, let ready, now - ready > ready - begin { backOff = BackOff() }
        backOff.failed()
        begin = nil
        ready = nil
    }
}
