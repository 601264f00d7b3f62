/// Whether a session's thread stays awake for what comes next rather than sleep in `poll`. No IO.
///
/// To wake a sleeping thread takes 20 to 50 µs where the processor is idle, a fifth of what a commit takes on a server that is
/// near. Who sends one batch after the other waits that long for each answer; so after an answer the thread looks for the
/// next one without sleeping. Only for a moment, and only as long as that pays: where the next answer comes later, the
/// thread sleeps through more and more of them before it tries again.
struct BusyWait {
    /// The longest from one answer to the next.
    let limit: Duration
    /// Until when the thread stays awake.
    private var until: ContinuousClock.Instant?
    /// How often in a row it did so in vain.
    private var misses = 0
    /// So many answers are slept through before it does so again.
    private var resting = 0

    private static let mostMisses = 6

    init(limit: Duration) { self.limit = min(limit, .seconds(1)) }

    /// A batch was answered that expects another.
    mutating func expectAnother(at now: ContinuousClock.Instant) {
        if end(at: now) != nil {
            misses = 0
        } else if resting > 0 {
            resting -= 1
            return
        }
        until = limit > .zero ? now + limit : nil
    }

    /// Until when the thread stays awake; nil where it sleeps.
    mutating func end(at now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        guard let end = until, end <= now else { return until }
        until = nil
        misses = min(misses + 1, Self.mostMisses)
        resting = 1 << misses
        return nil
    }
}
