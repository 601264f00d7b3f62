import DequeModule
import TisynStreams

/// Appends of this journal whose outcome is unknown, to streams that are being replayed: what the replays must be told once
/// `Journal.resolve` finds that they were written.
///
/// Used by `StreamIndexRegistry`. Bounded: where there are too many events, the oldest appends are forgotten. No IO.
struct UnresolvedAppends: Sendable {
    struct Part: Sendable {
        let stream: StreamName
        /// Nil: where the append is found.
        var position: Int?
        let events: [EventHead]
    }

    /// In events. The append that came last is kept in any case.
    let capacity: Int
    private var parts: [AppendReceipt: [Part]] = [:]
    /// Receipts, the oldest first.
    private var order: Deque<AppendReceipt> = []
    private var eventCount = 0

    init(capacity: Int = 16_384) { self.capacity = capacity }

    mutating func add(_ added: [Part], by receipt: AppendReceipt) {
        remove(receipt)
        parts[receipt] = added
        order.append(receipt)
        eventCount += Self.eventCount(of: added)
        while eventCount > capacity, order.count > 1, let oldest = order.first { remove(oldest) }
    }

    /// Gives them, and forgets them.
    @discardableResult
    mutating func remove(_ receipt: AppendReceipt) -> [Part] {
        guard let removed = parts.removeValue(forKey: receipt) else { return [] }
        order.removeAll { $0 == receipt }
        eventCount -= Self.eventCount(of: removed)
        return removed
    }

    private static func eventCount(of parts: [Part]) -> Int { parts.reduce(0) { $0 + $1.events.count } }
}
