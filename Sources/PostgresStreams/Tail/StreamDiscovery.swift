import LibPQ
import Synchronization

/// Finds the streams that one tail of all streams is to follow: those there are, and each new one once it is committed.
/// The IO of `StreamScan`.
final class StreamDiscovery: Sendable {
    /// Called with new streams, or with what ends the tail.
    typealias Found = @Sendable (Result<[(name: StreamName, cursor: Int)], JournalError>) -> Void

    private let scan: Mutex<StreamScan>
    private let reader: Requester
    private let statement: Statement
    private let patience: Duration
    private let found: Found

    /// - Parameter patience: how long the reader's connection may leave a query unanswered before it counts as dead.
    init(_ reader: Requester, _ statement: Statement, _ scan: StreamScan, patience: Duration, found: @escaping Found) {
        self.reader = reader
        self.statement = statement
        self.scan = Mutex(scan)
        self.patience = patience
        self.found = found
    }

    /// A notification named streams: perhaps one of them is new.
    func look(for digests: HintPayload) {
        if scan.withLock({ $0.isNews(digests) }) { look() }
    }

    /// Looks for new streams; once more where a look is under way, which may have been too early.
    func look() {
        if let query = scan.withLock({ $0.begin(over: reader.connectionNumber, at: .now) }) { ask(query) }
    }

    private func ask(_ query: StreamScan.Query) {
        var parameters = Parameters()
        parameters.append(query.position)
        parameters.append(query.limit)
        parameters.append(query.withEnds)
        let connection = reader.connectionNumber
        reader.send(statement, parameters, deadline: .now + patience) { [weak self] in
            self?.answered($0, over: connection)
        }
    }

    /// - Parameter connection: over which it was asked.
    private func answered(_ result: Result<QueryResult, JournalError>, over connection: Int) {
        switch result {
        case .success where connection != reader.connectionNumber:
            scan.withLock { $0.failed() }
            look()
        case .failure(let error):
            scan.withLock { $0.failed() }
            // Otherwise the listener's next look tries again.
            if error.endsTail { found(.failure(error)) }
        case .success(let result):
            let page = StreamScan.Page(result)
            let (new, next, looksAgain) = scan.withLock { $0.answered(page) }
            if !new.isEmpty { found(.success(new)) }
            if let next { ask(next) } else if looksAgain { look() }
        }
    }
}

extension StreamScan.Page {
    /// Of the statement `discover`.
    fileprivate init(_ result: QueryResult) {
        rows = (0..<result.rowCount).compactMap { row in
            guard let id = result.integer(row: row, column: 3) else { return nil }
            return Row(
                id: id,
                name: StreamName(trusting: result.text(row: row, column: 4)),
                end: result.integer(row: row, column: 5) ?? 0
            )
        }
        // There is a row though there be no stream.
        func number(_ column: Int) -> Int { result.rowCount == 0 ? 0 : result.integer(row: 0, column: column) ?? 0 }
        transactions = (number(0), number(1))
        highest = number(2)
    }
}
