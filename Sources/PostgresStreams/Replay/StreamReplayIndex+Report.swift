import LibPQ
import TisynStreams

/// What a whole stream says of its coroutines: for reports.
extension StreamReplayIndex {
    /// What a stream recorded of one coroutine.
    public struct Coroutine: Sendable, Hashable {
        public let id: CoroutineID
        public let yieldCount: Int
        /// Nil where it has none.
        public let lastYieldPosition: Int?
        /// Of its last close; nil where it has none.
        public let closePosition: Int?
    }

    /// The ids of the coroutines that have events, in the order of their first. Reads the whole stream.
    ///
    /// - Throws: as `read`.
    public func coroutineIDs() async throws(JournalError) -> [CoroutineID] {
        try await read()
        return index.state.withLock { $0.table.coroutines.map(\.id) }
    }

    /// The coroutines that have events, in the order of their first. Reads the whole stream.
    ///
    /// - Throws: as `read`.
    public func coroutines() async throws(JournalError) -> [Coroutine] {
        try await read()
        return index.state.withLock { state in
            state.table.coroutines.map { coroutine in
                Coroutine(
                    id: coroutine.id,
                    yieldCount: coroutine.yields.count,
                    lastYieldPosition: coroutine.yields.count == 0 ? nil : coroutine.yields.last,
                    closePosition: coroutine.close < 0 ? nil : coroutine.close
                )
            }
        }
    }
}

extension PostgresStream {
    /// How many events are asked for at once by position.
    private static let positionsPerQuery = 256

    /// The events at these positions, in their order, in little memory: handed out one by one.
    ///
    /// - Throws: `JournalError` when the server cannot be asked within the read deadline, `logReplaced` where there is no
    ///   such position; what `body` throws.
    package func forEachEvent(at positions: [Int], _ body: (Int, DurableEvent) throws -> Void) async throws {
        var rest = positions[...]
        while !rest.isEmpty {
            let asked = rest.prefix(Self.positionsPerQuery)
            rest = rest.dropFirst(Self.positionsPerQuery)
            let found = try await events(at: asked)
            for (position, event) in zip(asked, found) {
                // A large one comes alone.
                var event = event
                if event == nil { event = try await events(at: [position])[0] }
                guard let event else {
                    throw JournalError(.logReplaced, "stream \(name) has no position \(position) any more")
                }
                try body(position, event)
            }
        }
    }

    private func events(at positions: ArraySlice<Int>) async throws -> [DurableEvent?] {
        var parameters = Parameters()
        parameters.append(name.text)
        parameters.append(array: Array(positions))
        let result = try await journal.request(journal.statements.eventsAt, parameters, isCurrent: true)
        var events = [DurableEvent?](repeating: nil, count: positions.count)
        for row in 0..<result.rowCount {
            guard let ordinal = result.integer(row: row, column: 0), events.indices.contains(ordinal - 1) else {
                continue
            }
            events[ordinal - 1] = DurableEvent(
                trusting: JSONText(trusting: result.bytes(row: row, column: 3), owner: result),
                kind: result.bytes(row: row, column: 1).first == UInt8(ascii: "c") ? .close : .yield,
                coroutineID: CoroutineID(encoded: result.text(row: row, column: 2))
            )
        }
        return events
    }
}
