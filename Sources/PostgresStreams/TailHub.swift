import LibPQ
import Logging
import Synchronization

/// All tails of a journal: wakes them by hints, reads for those that wait, several in one query.
///
///     listener ── hint ──► registry ── waiting and hinted ──► one query ──► each consumer's page
///
/// A consumer that does not pull is not read for. One query is under way at a time; what is hinted at meanwhile is in the
/// next one.
final class TailHub: Sendable {
    typealias Delivery = Once<Result<[EventRow], JournalError>>

    private struct State {
        var registry = TailRegistry()
        var deliveries: [Int: Delivery] = [:]
        var isReading = false
        var isClosed = false
    }

    private let state = Mutex(State())
    private let reader: Requester
    private let statement: Statement
    private let pageSize: Int
    let listener: Listener

    /// More tails in one query would make those that come first wait for the others' rows.
    private static let tailsPerQuery = 256
    /// How many events one query of several tails may bring.
    private static let eventsPerQuery = 4096

    init(
        _ configuration: JournalConfiguration,
        _ schema: SchemaName,
        _ options: Link.Options,
        reader: Requester,
        _ server: ServerDescription
    ) {
        self.reader = reader
        statement = options.statements.tailPages
        pageSize = configuration.pageSize
        listener = Listener(configuration, schema, options, reader: reader)
        listener.onHint { [weak self] in self?.hint($0) ?? false }
    }

    // MARK: For tails

    /// Registers a tail. `remove` it when its consumer is gone.
    func add(_ stream: StreamName, cursor: Int) -> Int {
        let id = state.withLock { $0.registry.add(stream, cursor: cursor) }
        listener.start()
        return id
    }

    func remove(_ id: Int) {
        let isIdle = state.withLock { state in
            state.registry.remove(id)
            state.deliveries[id] = nil
            return state.registry.isEmpty
        }
        if isIdle { listener.stop() }
    }

    /// The next events of a tail, once there are some.
    func next(_ id: Int) async throws(JournalError) -> [EventRow] {
        let delivery = Delivery()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                delivery.onValue { continuation.resume(returning: $0) }
                let isClosed = state.withLock { state in
                    state.deliveries[id] = delivery
                    state.registry.wait(id)
                    return state.isClosed
                }
                if isClosed { delivery.set(.failure(JournalError(.closed, "the journal was closed"))) }
                read()
            }
        } onCancel: {
            delivery.set(.failure(JournalError(.cancelled, "the task was cancelled")))
        }
        return try result.get()
    }

    func close() {
        let deliveries = state.withLock { state in
            state.isClosed = true
            return Array(state.deliveries.values)
        }
        for delivery in deliveries { delivery.set(.failure(JournalError(.closed, "the journal was closed"))) }
        listener.close()
    }

    // MARK: Hints

    /// Whether anybody waits.
    private func hint(_ hint: Listener.Hint) -> Bool {
        let hasWaiting = state.withLock { state in
            switch hint {
            case .streams(let payload): state.registry.hint(payload.split(separator: ",").prefix(1000))
            case .everything: state.registry.hintAll()
            }
            return state.registry.hasWaiting
        }
        read()
        return hasWaiting
    }

    // MARK: Reading

    private func read() {
        let connection = reader.connectionNumber
        let queries: [TailRegistry.Query] = state.withLock { state in
            guard !state.isReading, !state.isClosed else { return [] }
            let queries = state.registry.takeQueries(limit: Self.tailsPerQuery, connection: connection)
            state.isReading = !queries.isEmpty
            return queries
        }
        guard !queries.isEmpty else { return }
        let limit = queries.count == 1 ? pageSize : min(pageSize, max(8, Self.eventsPerQuery / queries.count))
        var parameters = Parameters()
        parameters.append(array: queries.map(\.stream.text))
        parameters.append(array: queries.map(\.position))
        parameters.append(limit + 1)
        reader.send(statement, parameters) { [weak self] in
            self?.answered(queries, limit: limit + 1, connection: connection, $0)
        }
    }

    private func answered(
        _ queries: [TailRegistry.Query],
        limit: Int,
        connection: Int,
        _ result: Result<QueryResult, JournalError>
    ) {
        var deliveries: [(Delivery, Result<[EventRow], JournalError>)] = []
        // Asked on one connection, answered on another: what had to be compared was not.
        let isMoved = reader.connectionNumber != connection
        state.withLock { state in
            state.isReading = false
            switch result {
            case .failure(let error):
                for query in queries {
                    guard let delivery = state.deliveries.removeValue(forKey: query.id) else { continue }
                    deliveries.append((delivery, .failure(error)))
                }
            case .success where isMoved:
                state.registry.readAgain(queries)
            case .success(let result):
                let rows = Self.rows(result, count: queries.count)
                for (query, rows) in zip(queries, rows) {
                    let endsLarge = rows.last.map { $0.event.json.utf8Count > PageReader.largeEventByteCount } ?? false
                    let outcome = state.registry.read(
                        query,
                        rows,
                        isFull: rows.count >= limit || endsLarge,
                        connection: connection
                    )
                    switch outcome {
                    case .rows(let rows):
                        if let delivery = state.deliveries.removeValue(forKey: query.id) {
                            deliveries.append((delivery, .success(rows)))
                        }
                    case .replaced(let error):
                        if let delivery = state.deliveries.removeValue(forKey: query.id) {
                            deliveries.append((delivery, .failure(error)))
                        }
                    case .nothing, .ignored: break
                    }
                }
            }
        }
        // First the wire, then the consumers.
        read()
        for (delivery, result) in deliveries { delivery.set(result) }
    }

    /// The rows of each tail of a query, in order.
    private static func rows(_ result: QueryResult, count: Int) -> [[EventRow]] {
        var rows = [[EventRow]](repeating: [], count: count)
        for row in 0..<result.rowCount {
            guard let ordinal = result.integer(row: row, column: 0), rows.indices.contains(ordinal - 1),
                let event = EventRow(result, row: row, firstColumn: 1)
            else { continue }
            rows[ordinal - 1].append(event)
        }
        return rows
    }
}
