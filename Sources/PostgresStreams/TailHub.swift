import LibPQ
import Logging
import Synchronization

/// All tails of a journal: wakes them by hints, reads for those that wait, many in one query.
///
///     listener ── hint ──► registry ── waiting and hinted ──► one query ──► each consumer's page
///              ── look ──► registry ── waiting ──► one query ──► those that have moved ──► as above
///
/// A consumer that does not pull is not read for. One query is under way at a time; what is hinted at meanwhile is in the
/// next one.
final class TailHub: Sendable {
    typealias Delivery = Once<Result<TailPage, JournalError>>

    private struct State {
        var registry = TailRegistry()
        var deliveries: [Int: Delivery] = [:]
        var discoveries: [Int: StreamDiscovery] = [:]
        var isReading = false
        var isClosed = false
        /// A look under way, and whether another was asked for: it may have looked too early.
        var isLooking = false
        var looksAgain = false
        /// What of a look is still to be asked.
        var look: ArraySlice<TailRegistry.Query> = []
        /// The reader's connection that was last looked on.
        var lookedOn = -1
    }

    private let state = Mutex(State())
    private let reader: Requester
    private let statements: Statements
    private let pageSize: Int
    /// How long the reader's connection may leave a query unanswered before it counts as dead.
    private let patience: Duration
    let listener: Listener

    /// More tails in one query would make those that come first wait for the others' rows.
    private static let sourcesPerQuery = 256
    /// How many events one query of several tails may bring.
    private static let eventsPerQuery = 4096
    /// How many streams one look may ask about: it takes the server a few microseconds each.
    private static let sourcesPerLook = 16_384

    init(
        _ configuration: JournalConfiguration,
        _ schema: SchemaName,
        _ options: Link.Options,
        reader: Requester,
        announcer: Announcer
    ) {
        self.reader = reader
        statements = options.statements
        pageSize = configuration.pageSize
        patience = configuration.readDeadline
        listener = Listener(configuration, schema, options, reader: reader, announcer: announcer)
        listener.onHint { [weak self] in self?.hint($0) }
    }

    // MARK: For tails

    /// Registers a tail of one stream. `remove` it when its consumer is gone.
    func add(_ stream: StreamName, cursor: Int) -> Int {
        let consumer = state.withLock { state in
            let consumer = state.registry.addConsumer()
            state.registry.add(stream, cursor: cursor, for: consumer)
            return consumer
        }
        listener.start()
        return consumer
    }

    /// Registers a tail of all streams that begin with `prefix`, those to come included.
    func addAll(prefix: String, from start: TailStart) -> Int {
        let (consumer, discovery) = state.withLock { state in
            let consumer = state.registry.addConsumer()
            let discovery = StreamDiscovery(reader, statements.discover, prefix: prefix, from: start) { [weak self] in
                self?.discovered($0, for: consumer)
            }
            state.discoveries[consumer] = discovery
            return (consumer, discovery)
        }
        listener.start()
        discovery.scan()
        return consumer
    }

    func remove(_ consumer: Int) {
        let isIdle = state.withLock { state in
            state.registry.remove(consumer)
            state.deliveries[consumer] = nil
            state.discoveries[consumer] = nil
            return state.registry.isEmpty
        }
        if isIdle { listener.stop() }
    }

    /// The next events of a tail, once there are some.
    func next(_ consumer: Int) async throws(JournalError) -> TailPage {
        let delivery = Delivery()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                delivery.onValue { continuation.resume(returning: $0) }
                let result: Result<TailPage, JournalError>? = state.withLock { state in
                    guard !state.isClosed else { return .failure(JournalError(.closed, "the journal was closed")) }
                    let result = state.registry.pull(consumer)
                    if result == nil { state.deliveries[consumer] = delivery }
                    return result
                }
                read()
                if let result { delivery.set(result) }
            }
        } onCancel: {
            delivery.set(.failure(JournalError(.cancelled, "the task was cancelled")))
        }
        return try result.get()
    }

    func close() {
        let deliveries = state.withLock { state in
            state.isClosed = true
            state.discoveries = [:]
            return Array(state.deliveries.values)
        }
        for delivery in deliveries { delivery.set(.failure(JournalError(.closed, "the journal was closed"))) }
        listener.close()
    }

    private func discovered(_ streams: [(name: StreamName, cursor: Int)], for consumer: Int) {
        state.withLock { state in
            for stream in streams { state.registry.add(stream.name, cursor: stream.cursor, for: consumer) }
        }
        read()
    }

    // MARK: Hints

    private func hint(_ hint: Listener.Hint) {
        switch hint {
        case .streams(let payload):
            let digests = HintPayload(payload)
            let (isUnknown, discoveries) = state.withLock { state in
                (state.registry.hint(digests), Array(state.discoveries.values))
            }
            read()
            if isUnknown { for discovery in discoveries { discovery.scan(for: digests) } }
        case .everything:
            look()
            for discovery in state.withLock({ Array($0.discoveries.values) }) { discovery.scan() }
        }
    }

    // MARK: Looking

    /// Asks which of the tailed streams have moved, of those whose consumers wait: one query for all of them.
    private func look() {
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
        let (goesOn, looksAgain): (Bool, Bool) = state.withLock { state in
            if case .success(let result) = result {
                for row in 0..<result.rowCount {
                    guard let ordinal = result.integer(row: row, column: 0), queries.indices.contains(ordinal - 1)
                    else { continue }
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
        read()
        if goesOn { askLook() }
        if looksAgain { look() }
    }

    // MARK: Reading

    private func read() {
        let connection = reader.connectionNumber
        let queries: [TailRegistry.Query] = state.withLock { state in
            guard !state.isReading, !state.isClosed else { return [] }
            let queries = state.registry.takeQueries(limit: Self.sourcesPerQuery, connection: connection)
            state.isReading = !queries.isEmpty
            return queries
        }
        guard let first = queries.first else { return }
        var parameters = Parameters()
        // One more than a page: whether it comes says whether there is more.
        let limit: Int
        if queries.count == 1 {
            limit = pageSize + 1
            parameters.append(first.stream.text)
            parameters.append(first.position)
        } else {
            limit = min(pageSize, max(8, Self.eventsPerQuery / queries.count)) + 1
            parameters.append(array: queries.lazy.map(\.stream.text))
            parameters.append(array: queries.lazy.map(\.position))
        }
        parameters.append(limit)
        let statement = queries.count == 1 ? statements.page : statements.tailPages
        reader.send(statement, parameters, deadline: .now + patience) { [weak self] in
            self?.answered(queries, limit: limit, connection: connection, $0)
        }
    }

    private func answered(
        _ queries: [TailRegistry.Query],
        limit: Int,
        connection: Int,
        _ result: Result<QueryResult, JournalError>
    ) {
        var deliveries: [(Delivery, Result<TailPage, JournalError>)] = []
        // Asked on one connection, answered on another: what had to be compared was not.
        let isMoved = reader.connectionNumber != connection
        let pages: [[EventRow]] =
            if !isMoved, case .success(let result) = result {
                Self.rows(result, count: queries.count)
            } else {
                []
            }
        state.withLock { state in
            state.isReading = false
            var consumers: [Int] = []
            switch result {
            // No answer in time: the reader connects anew.
            case .failure(let error) where error.code == .unreachable: state.registry.readAgain(queries)
            case .failure(let error): consumers = queries.compactMap { state.registry.failed($0, error) }
            case .success where isMoved: state.registry.readAgain(queries)
            case .success:
                consumers = zip(queries, pages).compactMap { query, rows in
                    let endsLarge = rows.last.map { $0.event.json.utf8Count > PageReader.largeEventByteCount } ?? false
                    return state.registry.read(
                        query,
                        rows,
                        isFull: rows.count >= limit || endsLarge,
                        connection: connection
                    )
                }
            }
            for consumer in consumers {
                guard let taken = state.registry.take(consumer),
                    let delivery = state.deliveries.removeValue(forKey: consumer)
                else { continue }
                deliveries.append((delivery, taken))
            }
        }
        // First the wire, then the consumers.
        read()
        for (delivery, result) in deliveries { delivery.set(result) }
        if !deliveries.isEmpty { listener.noteActivity() }
    }

    /// The rows of each tail of a query, in order.
    private static func rows(_ result: QueryResult, count: Int) -> [[EventRow]] {
        if count == 1 { return [(0..<result.rowCount).compactMap { EventRow(result, row: $0) }] }
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
