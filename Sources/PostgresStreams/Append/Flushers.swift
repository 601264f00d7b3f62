/// Those who wait until all that came before them is through, one thing after the other in whatever order. No threads.
///
/// Used under the locks of `AppendGate` and `Appender`.
struct Flushers {
    private struct Flusher {
        var lastID: Int
        var remaining: Int
        var done: CheckedContinuation<Void, Never>
    }

    private var waiting: [Flusher] = []

    /// - Parameters:
    ///   - lastID: the newest that it waits for.
    ///   - count: how many it waits for, more than none.
    mutating func wait(for count: Int, upTo lastID: Int, _ done: CheckedContinuation<Void, Never>) {
        waiting.append(Flusher(lastID: lastID, remaining: count, done: done))
    }

    /// One is through.
    ///
    /// - Returns: who need not wait any more, to be resumed outside the lock.
    mutating func through(_ id: Int) -> [CheckedContinuation<Void, Never>] {
        guard !waiting.isEmpty else { return [] }
        for index in waiting.indices where id <= waiting[index].lastID { waiting[index].remaining -= 1 }
        defer { waiting.removeAll { $0.remaining <= 0 } }
        return waiting.filter { $0.remaining <= 0 }.map(\.done)
    }
}
