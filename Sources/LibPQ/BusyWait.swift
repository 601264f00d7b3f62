/// Whether a session's thread stays awake for what comes next rather than sleep in `poll`. No IO.
///
/// To wake a sleeping thread takes 20 to 50 µs where the processor is idle, a fifth of what a commit takes on a server that is
/// near. Who sends one batch after the other waits that long for each answer; so after an answer the thread looks for the
/// next one without sleeping, and so it does after a question of its own. Only for a moment, and only as long as that pays:
/// where answers come later, or somebody else wants the processor, the thread sleeps through more and more of them before it
/// tries again.
struct BusyWait {
    /// The longest for one answer.
    let limit: Duration
    /// Until when the thread stays awake.
    private var until: ContinuousClock.Instant?
    /// How often it did so in vain of late: more where that was so, less where it paid.
    private var misses = 0
    /// So many answers are slept through before it does so again.
    private var resting = 0
    /// So many after the processor was taken away: the more, the sooner that happens again.
    private var longRest = Self.leastLongRest
    private var hitsSinceLongRest = 0

    /// One in vain weighs as much as two that paid.
    private static let weightOfMiss = 2
    private static let mostMisses = 6
    /// Somebody else has had the processor.
    static let interruption = Duration.microseconds(100)
    /// So it is where a machine has too much to do, or the process has used up what it is allowed: all its threads then stand
    /// still, and the answers with them.
    private static let longInterruption = Duration.milliseconds(1)
    private static let leastLongRest = 64
    private static let mostLongRest = 4096

    init(limit: Duration) { self.limit = limit }

    /// An answer has come, and another may be about to.
    mutating func expect(at now: ContinuousClock.Instant) {
        met(at: now)
        asked(at: now)
    }

    /// Something was asked whose answer may come soon.
    mutating func asked(at now: ContinuousClock.Instant) {
        guard end(at: now) == nil else { return }
        guard resting == 0 else {
            resting -= 1
            return
        }
        until = limit > .zero ? now + limit : nil
    }

    /// An answer has come; it paid where the thread was awake for it.
    mutating func met(at now: ContinuousClock.Instant) {
        guard end(at: now) != nil else { return }
        misses = max(0, misses - 1)
        hitsSinceLongRest += 1
        until = nil
    }

    /// Until when the thread stays awake; nil where it sleeps.
    mutating func end(at now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        guard let end = until, end <= now else { return until }
        miss()
        return nil
    }

    /// The thread did something else in between, and did not wait.
    mutating func resumed(from begin: ContinuousClock.Instant, at now: ContinuousClock.Instant) {
        guard let end = end(at: begin) else { return }
        until = end + (now - begin)
    }

    /// While it stayed awake, the processor was somebody else's for so long: it does not stay awake any longer.
    mutating func interrupted(for duration: Duration) {
        miss()
        guard duration >= Self.longInterruption else { return }
        let isSoon = hitsSinceLongRest < longRest * 4
        resting = longRest
        longRest = isSoon ? min(longRest * 2, Self.mostLongRest) : Self.leastLongRest
        hitsSinceLongRest = 0
    }

    private mutating func miss() {
        until = nil
        misses = min(misses + Self.weightOfMiss, Self.mostMisses)
        resting = 1 << misses
    }
}
