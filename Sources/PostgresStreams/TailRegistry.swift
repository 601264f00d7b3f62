import LibPQ

/// Which streams are tailed, up to where, and which of them may have something new. No IO, no threads.
///
/// A tail is read when both hold: its consumer waits, and there may be something (it is new, it was hinted at, it was not
/// at its end when last read). Hints only mark; only rows that were read move a cursor.
struct TailRegistry {
    struct Entry {
        var stream: StreamName
        /// The position of the next event to deliver.
        var cursor: Int
        /// The token of the event before it, where this tail delivered one: to notice that the log was replaced.
        var lastToken: Token?
        /// The reader's connection it was last compared on. Another one may be another server.
        var comparedOn = -1
        var mayHaveMore = true
        var isWaiting = false
        var isBeingRead = false
    }

    /// What to ask for one tail.
    struct Query: Sendable, Equatable {
        var id: Int
        var stream: StreamName
        /// From where; the event before the cursor is asked for too, where it must be compared.
        var position: Int
        var isCompared: Bool
    }

    /// What a read means for a tail.
    enum Outcome {
        case rows([EventRow])
        /// Nothing new: it goes on waiting.
        case nothing
        case replaced(JournalError)
        /// The consumer is gone.
        case ignored
    }

    private var entries: [Int: Entry] = [:]
    private var idsByDigest: [String: Set<Int>] = [:]
    /// Waiting tails that may have more, in the order they came to be so.
    private var ready: [Int] = []
    private var nextID = 0

    var isEmpty: Bool { entries.isEmpty }

    var hasWaiting: Bool { entries.contains { $0.value.isWaiting } }

    // MARK: Tails come and go

    mutating func add(_ stream: StreamName, cursor: Int) -> Int {
        nextID += 1
        entries[nextID] = Entry(stream: stream, cursor: cursor)
        idsByDigest[stream.digest, default: []].insert(nextID)
        return nextID
    }

    mutating func remove(_ id: Int) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        idsByDigest[entry.stream.digest]?.remove(id)
        if idsByDigest[entry.stream.digest]?.isEmpty == true { idsByDigest[entry.stream.digest] = nil }
    }

    /// A consumer waits for the next events.
    mutating func wait(_ id: Int) {
        entries[id]?.isWaiting = true
        enqueueIfReady(id)
    }

    // MARK: Hints

    /// A notification named these.
    mutating func hint(_ digests: some Sequence<Substring>) {
        for digest in digests {
            for id in idsByDigest[String(digest)] ?? [] { mark(id) }
        }
    }

    /// Anything may have happened: the listener was not listening, or it is time to look.
    mutating func hintAll() {
        for id in entries.keys { mark(id) }
    }

    private mutating func mark(_ id: Int) {
        entries[id]?.mayHaveMore = true
        enqueueIfReady(id)
    }

    private mutating func enqueueIfReady(_ id: Int) {
        guard let entry = entries[id], entry.isWaiting, entry.mayHaveMore, !entry.isBeingRead else { return }
        entries[id]?.isBeingRead = true
        ready.append(id)
    }

    // MARK: Reading

    /// What to read now, at most `limit` tails.
    mutating func takeQueries(limit: Int, connection: Int) -> [Query] {
        // Not those whose consumer is gone: a round of nothing but them would be taken for the end of all.
        ready.removeAll { entries[$0] == nil }
        let ids = ready.prefix(limit)
        ready.removeFirst(ids.count)
        return ids.compactMap { id in
            guard let entry = entries[id] else { return nil }
            // Before the read: a hint that comes while it is under way is about something it may have missed.
            entries[id]?.mayHaveMore = false
            let isCompared = entry.lastToken != nil && entry.comparedOn != connection
            return Query(
                id: id,
                stream: entry.stream,
                position: isCompared ? entry.cursor - 1 : entry.cursor,
                isCompared: isCompared
            )
        }
    }

    /// The read failed, or another connection answered than it was meant for: it is to be done again.
    mutating func readAgain(_ queries: [Query]) {
        for query in queries {
            entries[query.id]?.isBeingRead = false
            mark(query.id)
        }
    }

    /// Takes the rows read for one tail. `isFull`: there may be more behind them.
    mutating func read(_ query: Query, _ rows: [EventRow], isFull: Bool, connection: Int) -> Outcome {
        guard var entry = entries[query.id] else { return .ignored }
        entry.isBeingRead = false
        defer {
            entries[query.id] = entry
            enqueueIfReady(query.id)
        }
        var rows = rows[...]
        if query.isCompared {
            let found = rows.popFirst()
            guard let found, found.position == entry.cursor - 1, found.token == entry.lastToken else {
                entry.isWaiting = false
                return .replaced(replacement(entry, found: found))
            }
        }
        entry.comparedOn = connection
        entry.mayHaveMore = entry.mayHaveMore || isFull
        guard let last = rows.last else { return .nothing }
        entry.cursor = last.position + 1
        entry.lastToken = last.token
        entry.isWaiting = false
        // Unknown until the next read finds nothing, but a hint would tell: rows that came are rows that were hinted at.
        return .rows(Array(rows))
    }

    private func replacement(_ entry: Entry, found: EventRow?) -> JournalError {
        let position = entry.cursor - 1
        let delivered = entry.lastToken.map { "\($0)" } ?? "none"
        let there = found.map { "\($0.position == position ? "\($0.token)" : "nothing")" } ?? "nothing"
        var error = JournalError(
            .logReplaced,
            "stream \(entry.stream): at position \(position) the append \(delivered) was delivered, and now there is "
                + "\(there == "nothing" ? there : "the append \(there)"): the server lost the end of the log"
        )
        error.expectedPosition = position
        error.actualPosition = found?.position
        return error
    }
}
