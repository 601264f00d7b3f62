/// When the next segments leave: at once, or a moment later, so that those who were just answered can join them. No IO.
///
/// Writers that append again as soon as they are answered come back together. A segment that left at the first of them
/// would hold one append, and the others wait a whole commit longer; a moment later it holds them all. The moment is a
/// part of what a commit takes, at most half, and ends as soon as all are back. Where most of them take longer than that to
/// come back it shrinks to nothing; whether they do is seen without waiting, so that it grows again when they are quicker.
struct Gathering {
    /// Those of one segment who were answered and are not all back.
    private struct Wait {
        var wire: Int
        var since: ContinuousClock.Instant
        var until: ContinuousClock.Instant
        /// The longest that it would pay to wait.
        var limit: Duration
        var expected: Int
        /// How many of them are not back.
        var missing: Int
        /// Nothing is held up for them any more; it is still seen when they come.
        var isOver = false
        var isJudged = false

        var areMostBack: Bool { (expected - missing) * 4 >= expected * 3 }
    }

    /// The longest waiting first; of each wire one at most.
    private var waits: [Wait] = []
    /// Which part of the longest moment is waited: halved when they came back later than that, doubled when earlier.
    private var patience = 1.0

    private static let leastPatience = 1.0 / 64
    private static let longest: Duration = .milliseconds(5)

    /// Whether what comes now is waited with.
    var isActive: Bool { waits.contains { !$0.isOver } }

    /// Until when this wire waits.
    func end(of wire: Int) -> ContinuousClock.Instant? { waits.first { $0.wire == wire && !$0.isOver }?.until }

    /// `count` callers of this wire are about to be told that they are answered. Whether it waits for them.
    ///
    /// - Parameters:
    ///   - others: how many wait to be sent already.
    ///   - roundTrip: what a segment takes.
    mutating func answered(
        _ count: Int,
        before others: Int,
        on wire: Int,
        roundTrip: Duration,
        at now: ContinuousClock.Instant
    ) -> Bool {
        if let before = waits.first(where: { $0.wire == wire }), !before.isJudged, now - before.since > before.limit {
            judge(inTime: false)
        }
        stop(wire)
        // One alone needs nobody, and sends by itself when it comes back.
        guard count > 0, count + others > 1 else { return false }
        let limit = min(Self.longest, roundTrip / 2)
        let wait = Wait(
            wire: wire,
            since: now,
            until: now + limit * patience,
            limit: limit,
            expected: count,
            missing: count
        )
        waits.append(wait)
        return true
    }

    private mutating func judge(inTime: Bool) {
        patience = inTime ? min(1, patience * 2) : max(Self.leastPatience, patience / 2)
    }

    /// So many appends came. The wires that waited and now need not any more.
    mutating func added(_ count: Int, at now: @autoclosure () -> ContinuousClock.Instant) -> [Int] {
        guard !waits.isEmpty else { return [] }
        var count = count
        var wires: [Int] = []
        // Those first who are waited for.
        for isOver in [false, true] {
            for index in waits.indices where count > 0 && waits[index].isOver == isOver {
                let part = min(count, waits[index].missing)
                waits[index].missing -= part
                count -= part
                if !waits[index].isJudged, waits[index].areMostBack {
                    waits[index].isJudged = true
                    judge(inTime: now() - waits[index].since <= waits[index].limit)
                }
                if waits[index].missing == 0, !isOver { wires.append(waits[index].wire) }
            }
        }
        waits.removeAll { $0.missing == 0 }
        return wires
    }

    /// The wire waits no longer: it is gone, or has something else to do.
    mutating func stop(_ wire: Int) { waits.removeAll { $0.wire == wire } }

    /// Ends the waiting of this wire if its time is over.
    mutating func expire(_ wire: Int, at now: ContinuousClock.Instant) {
        guard let index = waits.firstIndex(where: { $0.wire == wire && !$0.isOver && $0.until <= now }) else { return }
        waits[index].isOver = true
    }
}
