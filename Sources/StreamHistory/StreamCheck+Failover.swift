/// What a failover to a standby that was behind may do to a stream, and what not: its end may be lost, in one piece.
///
///     ── acknowledged by the primary ──┤ failover ├── acknowledged by the new one ──
///     0 1 2 3 4 5 (6 7 8 lost)                      6' 7' …
extension StreamCheck {
    /// Whether what the primary said of this append need not hold any more.
    func mayBeLost(_ append: History.Append) -> Bool {
        guard let failover else { return false }
        // By which server one was answered that began before is not known, however late the answer was looked at.
        return append.began <= failover.upperBound
    }

    /// Whether all these, which a reader saw, can have gone with the primary: one that is still there was not lost, and
    /// whoever saw it behind a lost one was shown a log that never was.
    func areLost(_ events: ArraySlice<EventID?>) -> Bool {
        failover != nil && events.allSatisfy { event in event.map { places[$0] == nil } ?? false }
    }

    /// What is lost is the end: nothing that the primary acknowledged stands behind something lost.
    func losses() -> [Violation] {
        guard let failover else { return [] }
        var firstLost: (position: Int, append: History.Append)?
        var lastKept = -1
        for append in appends where append.returned < failover.lowerBound {
            guard case .acknowledged(let position) = append.outcome else { continue }
            if places[append.first] != nil {
                lastKept = max(lastKept, position)
            } else if position < firstLost?.position ?? .max {
                firstLost = (position, append)
            }
        }
        guard let firstLost, firstLost.position < lastKept else { return [] }
        return [
            violation(
                .acknowledgedIsThere,
                "\(firstLost.append.first), acknowledged at \(firstLost.position), is not there, but \(lastKept) is kept"
            )
        ]
    }

    /// The history on each server for itself: a claim may be lost too, and its epoch be given again.
    var eras: [StreamCheck] {
        guard let failover else { return [self] }
        var (before, after) = (self, self)
        before.appends.removeAll { $0.returned >= failover.lowerBound }
        before.claims.removeAll { $0.ended >= failover.lowerBound }
        after.appends.removeAll { $0.began <= failover.upperBound }
        after.claims.removeAll { $0.began <= failover.upperBound }
        return [before, after]
    }
}
