/// When the next segments leave: at once, or a moment later, so that those who were just answered can join them. No IO.
///
/// Writers that append again as soon as they are answered come back together. A segment that left at the first of them
/// would hold one append, and the others wait a whole commit longer; a moment later it holds them all. The moment is a
/// part of what a commit takes, at most a quarter, or half where the server has another segment to work on meanwhile, and
/// ends as soon as all are back. Where they do not come back it shrinks to nothing.
struct Gathering {
    private struct Wait {
        var line: Int
        var until: ContinuousClock.Instant
        /// How many of those answered are not back.
        var missing: Int
        var expected: Int
    }

    /// The lines that wait, the longest waiting first.
    private var waits: [Wait] = []
    /// Of one segment, from sending to answer, averaged over the last few.
    private var roundTrip: Duration = .zero
    /// Which part of a quarter round trip is waited: halved when few came back, doubled when they did.
    private var patience = 1.0

    private static let leastPatience = 1.0 / 64
    private static let longest: Duration = .milliseconds(5)

    /// Whether what takes the time is a flush, a standby or the network, and not work: a second segment behind the first
    /// would only halve both.
    var isSlow: Bool { roundTrip > Self.slow }

    private static let slow = Duration.microseconds(2500)

    /// Whether what comes now is waited with.
    var isActive: Bool { !waits.isEmpty }

    /// Until when this line waits.
    func end(of line: Int) -> ContinuousClock.Instant? { waits.first { $0.line == line }?.until }

    /// `count` callers of this line are about to be told that they are answered. Whether it waits for them.
    ///
    /// - Parameter isLast: nothing else is on the line's wire.
    mutating func answered(
        _ count: Int,
        on line: Int,
        after duration: Duration,
        isLast: Bool,
        at now: ContinuousClock.Instant
    ) -> Bool {
        roundTrip = roundTrip == .zero ? duration : (roundTrip * 7 + duration) / 8
        stop(line)
        // One alone needs nobody, and sends by itself when it comes back.
        guard count > 1 else { return false }
        let moment = min(Self.longest, roundTrip / (isLast ? 4 : 2)) * patience
        waits.append(Wait(line: line, until: now + moment, missing: count, expected: count))
        return true
    }

    /// So many appends came. The lines that waited and now need not any more.
    mutating func added(_ count: Int) -> [Int] {
        var count = count
        var lines: [Int] = []
        while count > 0, !waits.isEmpty {
            let part = min(count, waits[0].missing)
            waits[0].missing -= part
            count -= part
            guard waits[0].missing == 0 else { break }
            patience = min(1, patience * 2)
            lines.append(waits.removeFirst().line)
        }
        return lines
    }

    /// The line waits no longer: it is gone, or has something else to do.
    mutating func stop(_ line: Int) { waits.removeAll { $0.line == line } }

    /// Ends the waiting of this line if its time is over.
    mutating func expire(_ line: Int, at now: ContinuousClock.Instant) {
        guard let index = waits.firstIndex(where: { $0.line == line && $0.until <= now }) else { return }
        let wait = waits.remove(at: index)
        let returned = wait.expected - wait.missing
        patience = returned * 2 < wait.expected ? max(Self.leastPatience, patience / 2) : min(1, patience * 2)
    }
}
