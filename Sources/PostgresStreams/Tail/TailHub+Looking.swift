import LibPQ

/// Looking: where a notification may have been missed, or none can come.
extension TailHub {
    /// How many streams one look may ask about: it takes the server a few microseconds each.
    private static let sourcesPerLook = 16_384

    /// Asks which of the tailed streams have moved, of those whose consumers wait: one query for all of them.
    func look() {
        let connection = reader.connectionNumber
        let isToAsk: Bool = state.withLock { state in
            guard !state.isClosed else { return false }
            guard !state.isLooking else {
                state.looksAgain = true
                return false
            }
            // A new connection, perhaps to another server: each tail compares what it has with what is there.
            if state.lookedOn != connection {
                state.lookedOn = connection
                state.registry.hintAll()
                return false
            }
            state.look = state.registry.takeLook()[...]
            state.isLooking = !state.look.isEmpty
            return state.isLooking
        }
        if isToAsk { askLook() } else { read() }
    }

    private func askLook() {
        let queries: [TailRegistry.Query] = state.withLock { state in
            defer { state.look = state.look.dropFirst(Self.sourcesPerLook) }
            return Array(state.look.prefix(Self.sourcesPerLook))
        }
        var parameters = Parameters()
        parameters.append(array: queries.lazy.map(\.stream.text))
        parameters.append(array: queries.lazy.map(\.position))
        reader.send(statements.tailLook, parameters, deadline: .now + patience) { [weak self] in
            self?.looked(queries, $0)
        }
    }

    private func looked(_ queries: [TailRegistry.Query], _ result: Result<QueryResult, JournalError>) {
        var isPrimary = false
        let (goesOn, looksAgain): (Bool, Bool) = state.withLock { state in
            if case .success(let result) = result {
                for row in 0..<result.rowCount {
                    guard let ordinal = result.integer(row: row, column: 0) else { continue }
                    if ordinal == 0 { isPrimary = true }
                    guard queries.indices.contains(ordinal - 1) else { continue }
                    state.registry.found(queries[ordinal - 1])
                }
            } else {
                state.look = []
            }
            guard state.look.isEmpty else { return (true, false) }
            state.isLooking = false
            defer { state.looksAgain = false }
            return (false, state.looksAgain)
        }
        // A standby that is promoted keeps those who read. What they have of the old primary is compared with what is there over
        // the next connection, to a server of which nobody thinks that it only lags.
        if isPrimary, reader.isOnStandby { reader.reconnect() }
        read()
        if goesOn { askLook() }
        if looksAgain { look() }
    }
}
