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
        let (end, known): (Int?, Known) = state.withLock { ($0.end, Known($0)) }
        let bound = learningEnd ? nil : end
        var parameters = Parameters()
        parameters.append(name.text)
        parameters.append(id.encoded)
        parameters.append(bound ?? .max)
        parameters.append(withClose)
        parameters.append(known.anchor?.position ?? -1)
        let result = try await heads(parameters, knowing: known, movesEnd: bound == nil)
        let next = StreamEnd(result).position
        var head = CoroutineHeads.Head()
        if result.rowCount > 0 {
            head.lastYield = result.integer(row: 0, column: 3)
            head.lastClose = result.integer(row: 0, column: 4)
            if !result.isNull(row: 0, column: 5) {
                let json = JSONText(trusting: result.bytes(row: 0, column: 5), owner: result)
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

    /// The answer compares the stream with what was read, and so needs no look beside it.
    private func heads(
        _ parameters: Parameters,
        knowing known: Known,
        movesEnd: Bool
    ) async throws(JournalError) -> QueryResult {
        let answer = Once<Result<QueryResult, JournalError>>()
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                answer.onValue { continuation.resume(returning: $0) }
                ask(journal.statements.heads, parameters) { [self] result in
                    answer.set(
                        result.flatMap { result in
                            learned(StreamEnd(result), knowing: known, movesEnd: movesEnd).map { result }
                        }
                    )
                }
            }
        } onCancel: {
            answer.set(.failure(.cancelled))
        }
        return try outcome.get()
    }
}
