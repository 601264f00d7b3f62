import DequeModule

/// Who may hold how many bytes, and who waits for room: first come, first served. No IO, no clock, no threads.
///
/// Used by `AppendGate`. What is larger than the limit is let in alone, so that nothing waits for ever.
struct AdmissionQueue {
    private struct Waiter {
        var id: Int
        var byteCount: Int
        var since: ContinuousClock.Instant
    }

    private let limit: Int
    private var lastID = 0
    private var waiting: Deque<Waiter> = []
    /// Bytes of those that were let in and have not left.
    private(set) var admittedBytes = 0

    init(limit: Int) { self.limit = limit }

    /// - Returns: its number where it is let in at once; nil where there is no room, or others wait.
    mutating func enterAtOnce(_ byteCount: Int) -> Int? {
        guard waiting.isEmpty, hasRoom(for: byteCount) else { return nil }
        admittedBytes += byteCount
        lastID += 1
        return lastID
    }

    /// - Returns: its number. `leave`, or `withdraw` of one before it, lets it in.
    mutating func wait(_ byteCount: Int, since now: ContinuousClock.Instant) -> Int {
        lastID += 1
        waiting.append(Waiter(id: lastID, byteCount: byteCount, since: now))
        return lastID
    }

    /// One that was let in is through.
    ///
    /// - Returns: who is let in now.
    mutating func leave(_ byteCount: Int) -> [Int] {
        admittedBytes -= byteCount
        return admitNext()
    }

    /// One that waits does so no longer.
    ///
    /// - Returns: who is let in now, since it stood before them; nil where it did not wait.
    mutating func withdraw(_ id: Int) -> [Int]? {
        guard let index = waiting.firstIndex(where: { $0.id == id }) else { return nil }
        waiting.remove(at: index)
        return index == 0 ? admitNext() : []
    }

    /// Those that have waited since then or longer wait no more.
    ///
    /// - Returns: who they are. Nobody is let in: `leave` does that.
    mutating func giveUp(waitingSince time: ContinuousClock.Instant) -> [Int] {
        // In the order they came.
        let ids = waiting.prefix { $0.since <= time }.map(\.id)
        waiting.removeFirst(ids.count)
        return ids
    }

    mutating func giveUpAll() -> [Int] {
        defer { waiting = [] }
        return waiting.map(\.id)
    }

    private func hasRoom(for byteCount: Int) -> Bool {
        admittedBytes == 0 || admittedBytes + byteCount <= limit
    }

    private mutating func admitNext() -> [Int] {
        var admitted: [Int] = []
        while let next = waiting.first, hasRoom(for: next.byteCount) {
            waiting.removeFirst()
            admittedBytes += next.byteCount
            admitted.append(next.id)
        }
        return admitted
    }
}
