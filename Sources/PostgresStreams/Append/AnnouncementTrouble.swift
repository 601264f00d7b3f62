/// Which failures of NOTIFY are worth a line in the log, and when it works again: each append may fail to be notified, and
/// there may be hundreds a second. No IO, no clock.
struct AnnouncementTrouble {
    enum Saying: Equatable {
        /// It fails; so many times for this reason since that was last said.
        case fails(count: Int)
        case worksAgain
    }

    private struct Reason {
        var saidAt: ContinuousClock.Instant
        /// Failures since then.
        var count = 0
    }

    /// By SQLSTATE; nil: the connection. Those whose last line is younger than the interval, those that have failures to be
    /// told in their next, and that of now.
    private var reasons: [String?: Reason] = [:]
    /// It was said that it fails, and not that it works again.
    private var isSaid = false

    /// For one reason there is a line at most so often, also where it fails now and then.
    private static let interval = Duration.seconds(60)

    mutating func failed(_ sqlState: String?, at now: ContinuousClock.Instant) -> Saying? {
        if var reason = reasons[sqlState], now - reason.saidAt < Self.interval {
            reason.count += 1
            reasons[sqlState] = reason
            return nil
        }
        let count = (reasons[sqlState]?.count ?? 0) + 1
        reasons = reasons.filter { $0.value.count > 0 || now - $0.value.saidAt < Self.interval }
        reasons[sqlState] = Reason(saidAt: now)
        isSaid = true
        return .fails(count: count)
    }

    mutating func succeeded() -> Saying? {
        guard isSaid else { return nil }
        isSaid = false
        return .worksAgain
    }
}
