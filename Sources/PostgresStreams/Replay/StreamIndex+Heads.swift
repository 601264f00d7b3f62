import LibPQ
import TisynStreams

/// Asking the server of a single coroutine, by the indices of its closes and yields.
extension StreamIndex {
    /// Where the coroutine's last close and last yield are, within what the index knows of the stream.
    ///
    /// - Parameters:
    ///   - withClose: with the close event itself.
    ///   - learningEnd: also find out where the stream ends now, and look as far as that.
    /// - Returns: with it, how far it holds.
    func lookUp(
        _ id: CoroutineID,
        withClose: Bool,
        learningEnd: Bool
    ) async throws(JournalError) -> (head: CoroutineHeads.Head, end: Int) {
        let (end, known): (Int?, Int) = state.withLock { ($0.end, max($0.end ?? 0, $0.seenEnd)) }
        let bound = learningEnd ? nil : end
        var parameters = Parameters()
        parameters.append(name.text)
        parameters.append(id.encoded)
        parameters.append(bound ?? .max)
        parameters.append(withClose)
        let result = try await request(journal.statements.heads, parameters)
        let next = result.rowCount == 0 ? 0 : result.integer(row: 0, column: 0) ?? 0
        if bound == nil {
            try learned(end: next, atLeast: known)
        } else if next < known {
            throw short("the stream had \(known) events and has \(next)")
        }
        var head = CoroutineHeads.Head()
        if result.rowCount > 0 {
            head.lastYield = result.integer(row: 0, column: 1)
            head.lastClose = result.integer(row: 0, column: 2)
            if !result.isNull(row: 0, column: 3) {
                let json = JSONText(trusting: result.bytes(row: 0, column: 3), owner: result)
                head.close = DurableEvent(trusting: json, kind: .close, coroutineID: id)
                head.weight = result.memorySize
            }
        }
        state.withLock { state in
            // Events that came while the server was asked are not in its answer.
            if state.end == bound ?? next { state.heads.keep(head, of: id) }
        }
        return (head, bound ?? next)
    }
}
