import LibPQ

/// Reading for those that wait and may have something, and handing out what was read.
extension TailHub {
    /// More tails in one query would make those that come first wait for the others' rows.
    private static let sourcesPerQuery = 256
    /// How many events one query of several tails may bring.
    private static let eventsPerQuery = 4096
    /// So many streams in one query, and it is worth waiting for more of each.
    private static let crowd = 16
    private static let longestPause = Duration.milliseconds(10)

    /// A connection that reads.
    private enum Route {
        case listener(Listener.Route)
        case reader(number: Int, isBehindPooler: Bool)

        /// Tells one connection from another, over both kinds.
        var connection: Int {
            switch self {
            case .listener(let route): 2 * route.number + 1
            case .reader(let number, _): 2 * number
            }
        }

        var isBehindPooler: Bool {
            switch self {
            case .listener(let route): route.isBehindPooler
            case .reader(_, let isBehindPooler): isBehindPooler
            }
        }
    }

    func read() {
        let work: ([TailRegistry.Query], Route)? = state.withLock { state in
            guard state.registry.hasReady, !state.isReading, !state.isPausing, !state.isClosed else { return nil }
            let route = route(unless: state.givenUpRoute)
            let queries = state.registry.takeQueries(
                limit: Self.sourcesPerQuery,
                connection: route.connection,
                isBehindPooler: route.isBehindPooler
            )
            state.isReading = !queries.isEmpty
            return queries.isEmpty ? nil : (queries, route)
        }
        if let (queries, route) = work { read(queries, by: route) }
    }

    /// The listener's connection, where it hears and has not failed; otherwise the reader's.
    private func route(unless givenUp: Int) -> Route {
        if let listening = listener.route, listening.number > givenUp {
            return .listener(listening)
        }
        return .reader(number: reader.connectionNumber, isBehindPooler: reader.isBehindPooler)
    }

    private func read(_ queries: [TailRegistry.Query], by route: Route) {
        var parameters = Parameters()
        // One more than a page: whether it comes says whether there is more.
        let limit: Int
        let statement: Statement
        if queries.count == 1 {
            let query = queries[0]
            switch query.expected {
            case .one: limit = 2
            case .page: limit = pageSize + 1
            case .pages: limit = 4 * pageSize + 1
            }
            statement = query.expected == .one ? statements.tailNext : statements.page
            parameters.append(query.stream.text)
            parameters.append(query.position)
        } else {
            statement = statements.tailPages
            limit = min(pageSize, max(8, Self.eventsPerQuery / queries.count)) + 1
            parameters.append(array: queries.lazy.map(\.stream.text))
            parameters.append(array: queries.lazy.map(\.position))
        }
        parameters.append(limit)
        let begin = ContinuousClock.now
        switch route {
        case .listener(let listening):
            listener.ask(statement, parameters, over: listening.session) { [weak self] outcome in
                let result = self?.result(of: outcome, over: listening.number)
                self?.answered(queries, limit, since: begin, by: route, result)
            }
        case .reader:
            reader.send(statement, parameters, deadline: .now + patience) { [weak self] in
                self?.answered(queries, limit, since: begin, by: route, $0)
            }
        }
    }

    /// What the listener's connection answered; nil: ask again, the reader, which knows what to do about a refusal.
    private func result(
        of outcome: Result<[QueryResult], BatchFailure>,
        over number: Int
    ) -> Result<QueryResult, JournalError>? {
        switch outcome {
        case .success(let results): return results.last.map { .success($0) }
        case .failure:
            state.withLock { $0.givenUpRoute = max($0.givenUpRoute, number) }
            return nil
        }
    }

    private func answered(
        _ queries: [TailRegistry.Query],
        _ limit: Int,
        since begin: ContinuousClock.Instant,
        by route: Route,
        _ result: Result<QueryResult, JournalError>?
    ) {
        var deliveries: [(Delivery, Result<TailPage, JournalError>)] = []
        var result = result
        // Asked on one connection, answered on another: what had to be compared was not.
        if case .reader(let number, _) = route, reader.connectionNumber != number { result = nil }
        // No answer in time, whatever the reason: the reader goes on connecting, and so does the tail.
        if case .failure(let error) = result, error.code != .refused, error.code != .closed { result = nil }
        let mayLag = if case .reader = route { reader.isOnStandby } else { false }
        let pages: [[EventRow]] =
            if case .success(let result) = result { Self.rows(result, count: queries.count) } else { [] }
        let pause = Self.pause(after: pages, limit: limit, from: begin, to: .now)
        state.withLock { state in
            state.isReading = false
            state.isPausing = pause != nil
            var consumers: [Int] = []
            switch result {
            case nil: state.registry.readAgain(queries)
            case .failure(let error): consumers = queries.compactMap { state.registry.failed($0, error) }
            case .success:
                consumers = zip(queries, pages).compactMap { query, rows in
                    let endsLarge = rows.last.map { $0.event.json.utf8Count > PageReader.largeEventByteCount } ?? false
                    return state.registry.read(
                        query,
                        rows,
                        isFull: rows.count >= limit || endsLarge,
                        connection: route.connection,
                        mayLag: mayLag
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
        if let pause {
            reader.setAlarm(at: .now + pause) { [weak self] in self?.resumeReading() }
        } else {
            read()
        }
        for (delivery, result) in deliveries { delivery.set(result) }
        if !deliveries.isEmpty { listener.noteActivity() }
    }

    private func resumeReading() {
        state.withLock { $0.isPausing = false }
        read()
    }

    /// Where many streams move at once, each read brings one or two events of each and costs the server, where their
    /// writers are at work, about the same as one that brings ten. So after such a read there is a pause of nine times what
    /// it took, `longestPause` at most, and the events come as much later. Nil: what there is, is read at once. So it is for
    /// who has fallen behind, and for few.
    private static func pause(
        after pages: [[EventRow]],
        limit: Int,
        from begin: ContinuousClock.Instant,
        to end: ContinuousClock.Instant
    ) -> Duration? {
        guard pages.count >= crowd, pages.count < sourcesPerQuery, !pages.contains(where: { $0.count >= limit }),
            pages.count(where: { !$0.isEmpty }) * 2 > pages.count
        else { return nil }
        return min(longestPause, (end - begin) * 9)
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
