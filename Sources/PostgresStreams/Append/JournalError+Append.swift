import LibPQ

/// What an append's caller is told when the server answers with something else than `written`.
extension JournalError {
    /// An exact append, and the stream's next position is another.
    static func conflict(_ run: Segment.Run, actual: Int) -> JournalError {
        var error = JournalError(
            .conflict,
            outcome: .notWritten,
            "stream \(run.stream) is at position \(actual), the event was expected to land at \(run.position)"
        )
        error.expectedPosition = run.position
        error.actualPosition = actual
        return error
    }

    /// The stream ends before a position that it had told us: a failover or restore lost events.
    static func logReplaced(_ run: Segment.Run, actual: Int) -> JournalError {
        var error = JournalError(
            .logReplaced,
            outcome: .notWritten,
            "stream \(run.stream) ends at \(actual), though \(run.position) events had been acknowledged: "
                + "the server lost the end of the log"
        )
        error.expectedPosition = run.position
        error.actualPosition = actual
        return error
    }

    /// It was sent, and nobody waits for the answer any more.
    static func unknown(_ receipt: AppendReceipt, because reason: JournalError) -> JournalError {
        var error = reason
        error.outcome = .unknown
        error.receipt = receipt
        return error
    }

    /// Another writer claimed the stream, or this one never did. Its position says that it had been written before.
    static func fenced(_ run: Segment.Run, _ answer: Segment.Answer) -> JournalError {
        let writer = run.epoch.map { "this writer's claim has epoch \($0)" } ?? "this writer has not claimed it"
        var error = JournalError(
            .fenced,
            outcome: answer.position == nil ? .notWritten : .written,
            "stream \(run.stream) is claimed at epoch \(answer.epoch), \(writer): claim it to write to it"
        )
        error.epoch = run.epoch
        error.currentEpoch = answer.epoch
        return error
    }
}
