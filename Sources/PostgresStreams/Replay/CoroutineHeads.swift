import TisynStreams

/// What the server said of single coroutines of a stream: where their last yield and their last close are.
///
/// Used by `StreamIndex` for what it has not read up to. Bounded: when it holds too much it forgets all and asks again.
struct CoroutineHeads: Sendable {
    struct Head: Sendable {
        /// Of the last yield at or above `StreamIndex.indexedFrom`; nil where there is none.
        var lastYield: Int?
        var lastClose: Int?
        /// The last close itself, where it was asked for.
        var close: DurableEvent?
        /// What `close` occupies, in bytes.
        var weight = 0

        mutating func add(_ kind: DurableEvent.Kind, at position: Int) {
            switch kind {
            case .yield: lastYield = position
            case .close: (lastClose, close, weight) = (position, nil, 0)
            }
        }
    }

    private var heads: [CoroutineID: Head] = [:]
    private var weight = 0
    /// In bytes.
    let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    subscript(id: CoroutineID) -> Head? { heads[id] }

    /// Keeps it, unless it alone is too much.
    mutating func keep(_ head: Head, of id: CoroutineID) {
        let needed = 128 + id.encoded.utf8.count + head.weight
        if let old = heads.removeValue(forKey: id) { weight -= 128 + id.encoded.utf8.count + old.weight }
        if weight + needed > capacity { forget() }
        guard needed <= capacity else { return }
        heads[id] = head
        weight += needed
    }

    /// The stream has grown by an event of the coroutine.
    mutating func add(_ kind: DurableEvent.Kind, of id: CoroutineID, at position: Int) {
        guard var head = heads[id] else { return }
        head.add(kind, at: position)
        keep(head, of: id)
    }

    mutating func forget() {
        heads = [:]
        weight = 0
    }
}
