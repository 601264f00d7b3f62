/// How long tails of many streams that move at once wait before they are read for again. No IO.
///
/// Read at once, each would bring one or two events of each, and cost the server, where their writers are at work, about the
/// same as a read that brings ten. So after such a read there is a pause of 19 times what it took, and the events come as much
/// later; but no longer than until the fullest page of the next read is half full. One that is full makes its tail one that
/// has fallen behind, and that is read for at once, and again for what has come meanwhile.
struct TailPause {
    /// So many streams in one query, and it is worth waiting for more of each.
    private static let crowd = 16
    private static let longest = Duration.milliseconds(20)

    /// When the last read of many began: what the next one brings has come since then.
    private var lastBegin: ContinuousClock.Instant?

    /// After a read of those that follow.
    ///
    /// - Parameters:
    ///   - counts: how many events it brought for each.
    ///   - limits: how many it asked for.
    ///   - isAll: nothing else was to be read.
    /// - Returns: nil where the next one begins at once: they are few, or few of them moved, or one has fallen behind.
    mutating func after(
        _ counts: [Int],
        of limits: [Int],
        isAll: Bool,
        from begin: ContinuousClock.Instant,
        to end: ContinuousClock.Instant
    ) -> Duration? {
        guard counts.count >= Self.crowd else { return nil }
        let before = lastBegin
        lastBegin = begin
        guard isAll, counts.count(where: { $0 > 0 }) * 2 > counts.count else { return nil }
        let fullest = zip(counts, limits).map { Double($0) / Double($1) }.max() ?? 0
        guard fullest < 1 else { return nil }
        let pause = min(Self.longest, (end - begin) * 19)
        guard let before else { return pause }
        let untilHalfFull = (begin - before) * (0.5 / fullest) - (end - begin)
        return untilHalfFull > .zero ? min(pause, untilHalfFull) : nil
    }
}
