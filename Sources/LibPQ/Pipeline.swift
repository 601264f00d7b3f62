import DequeModule

/// The batches that are on the wire, oldest first: which result belongs to whom; and those that wait for their turn. No IO.
///
/// A session feeds it what libpq hands out; it answers with the batches that are done. libpq gives, for each batch, the
/// results of its statements with a null after each, then a sync; after an error it marks the rest as skipped.
struct Pipeline {
    struct Finished {
        var completion: Batch.Completion
        var outcome: Result<[QueryResult], BatchFailure>
        var awake: Batch.Awake?
        /// Statements that were to be prepared on the way and were not.
        var unprepared: [String] = []
    }

    /// What libpq handed out.
    enum Item {
        case result(QueryResult)
        case failure(ServerMessage)
        /// A statement that was not executed since one before it failed.
        case skipped
        case sync
    }

    private struct Sent {
        /// Statements prepared on the way, before all others: their results come first and are not the caller's.
        var preparing: ArraySlice<String>
        var completion: Batch.Completion
        var awake: Batch.Awake?
        var results: [QueryResult] = []
        var failure: ServerMessage?

        func finished(_ outcome: Result<[QueryResult], BatchFailure>) -> Finished {
            Finished(
                completion: completion,
                outcome: outcome,
                awake: awake,
                unprepared: Array(preparing)
            )
        }
    }

    private var onTheWire: Deque<Sent> = []
    private var waiting: Deque<Batch> = []

    /// Whether a batch goes on the wire behind others that are not answered. Poolers have been seen to take the server's
    /// connection away at the first answer, and to lose those that come after it.
    var goesAhead = false

    /// Whether no batch is on the wire.
    var isEmpty: Bool { onTheWire.isEmpty }

    /// Has the batch wait for its turn, behind those that wait already.
    mutating func enqueue(_ batch: Batch) { waiting.append(batch) }

    /// Takes out the batch whose turn it is to be sent, if there is one. What is sent is to be told by `sent`.
    mutating func next() -> Batch? { goesAhead || onTheWire.isEmpty ? waiting.popFirst() : nil }

    mutating func sent(
        _ completion: @escaping Batch.Completion,
        preparing: [String] = [],
        awake: Batch.Awake? = nil
    ) {
        onTheWire.append(Sent(preparing: preparing[...], completion: completion, awake: awake))
    }

    /// Takes one item; returns the batch that it completes.
    mutating func received(_ item: Item) -> Finished? {
        guard !onTheWire.isEmpty else { return nil }
        switch item {
        case .result(let result):
            if onTheWire[0].preparing.popFirst() == nil { onTheWire[0].results.append(result) }
            return nil
        case .failure(let message):
            // The first says why; what follows are consequences.
            if onTheWire[0].failure == nil { onTheWire[0].failure = message }
            return nil
        case .skipped:
            return nil
        case .sync:
            let batch = onTheWire.removeFirst()
            if let failure = batch.failure, failure.sqlState.isEmpty {
                // libpq's own trouble, such as no memory for the answer: the server may well have committed.
                let loss = ConnectionFailure(.network, failure.message)
                return batch.finished(.failure(.connectionLost(loss, sent: true)))
            }
            if let failure = batch.failure {
                return batch.finished(.failure(.refused(failure)))
            }
            return batch.finished(.success(batch.results))
        }
    }

    /// The connection is gone: all that was sent has an unknown outcome; the rest was not.
    mutating func lost(_ failure: ConnectionFailure) -> [Finished] {
        defer { (onTheWire, waiting) = ([], []) }
        func lost(_ completion: @escaping Batch.Completion, sent: Bool) -> Finished {
            Finished(completion: completion, outcome: .failure(.connectionLost(failure, sent: sent)))
        }
        return onTheWire.map { lost($0.completion, sent: true) } + waiting.map { lost($0.completion, sent: false) }
    }
}
