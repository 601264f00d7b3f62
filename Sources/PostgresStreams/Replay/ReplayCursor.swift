import TisynStreams

/// Where one replay is in the yields of one coroutine.
///
/// Kept by `StreamReplayIndex`; `StreamIndex` answers for it, and notes in it what makes the next answer cheap. No IO.
struct ReplayCursor: Sendable {
    /// That the replay has come to the end of what the coroutine recorded.
    struct RecordedEnd: Sendable {
        /// Nothing in front of this position stands at the cursor.
        var position: Int
        /// How many yields of the coroutine are in front of it.
        var yieldCount: Int
    }

    /// How many of the coroutine's yields it has passed: the cursor of contract §3.
    var ordinal = 0
    /// Nil where there is more, or where that was not asked.
    private(set) var recordedEnd: RecordedEnd?

    /// The coroutine's index in the table of the stream's index, once that has events of it.
    private var coroutine: Int?
    private var place = PositionList.Place()

    /// The position of the yield at the cursor, as far as the table has it.
    mutating func position(in table: CoroutineTable, of id: CoroutineID) -> Int? {
        if coroutine == nil { coroutine = table.index(of: id) }
        guard let coroutine else { return nil }
        while ordinal < table.coroutines[coroutine].yields.count {
            let position = table.coroutines[coroutine].yields.position(at: ordinal, &place)
            guard let end = recordedEnd, position < end.position else {
                recordedEnd = nil
                return position
            }
            // Passed by an append of its own, behind which nothing that came before is replayed any more.
            ordinal += 1
        }
        return nil
    }

    /// Takes note that no yield in front of `end` stands at the cursor.
    mutating func foundNothing(before end: Int, in table: CoroutineTable) {
        let known = coroutine.map { table.coroutines[$0].yields.count } ?? 0
        recordedEnd = RecordedEnd(
            position: max(end, recordedEnd?.position ?? 0),
            yieldCount: max(known, recordedEnd?.yieldCount ?? 0)
        )
    }

    /// The effect that ran since was appended at `position`: it is behind the cursor, not at it.
    mutating func appended(at position: Int) {
        guard var end = recordedEnd, position >= end.position else { return }
        end.position = position + 1
        end.yieldCount += 1
        recordedEnd = end
        ordinal = max(ordinal, end.yieldCount)
    }
}
