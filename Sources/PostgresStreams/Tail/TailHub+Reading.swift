import LibPQ

/// Reading for those that wait and may have something, and handing out what was read.
extension TailHub {
    /// More tails in one query would make those that come first wait for the others' rows.
    private static let sourcesPerQuery = 256

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

    /// A read under way.
    private struct Read {
        var lane: TailRegistry.Lane
        var queries: [TailRegistry.Query]
        /// How many events are asked for, for each.
        var limits: [Int]
        var route: Route
        /// Nothing else was ready in its lane.
        var isAll: Bool
        var begin = ContinuousClock.now
    }

    func read() {
        for lane in TailRegistry.Lane.allCases { read(lane) }
    }

    private func read(_ lane: TailRegistry.Lane) {
        let read: Read? = state.withLock { state in
            guard state.registry.hasReady(lane), !state.isReading[lane], !state.isClosed,
                lane != .following || !state.isPausing
            else { return nil }
            let route = route(lane, unless: state.givenUpRoute)
            let queries = state.registry.takeQueries(
                lane,
                limit: Self.sourcesPerQuery,
                byteCount: state.readSize.byteCount(of: lane),
                connection: route.connection,
                isBehindPooler: route.isBehindPooler
            )
            guard !queries.isEmpty else { return nil }
            state.isReading[lane] = true
            let limits = state.readSize.limits(for: queries, in: lane)
            let isAll = !state.registry.hasReady(lane)
            return Read(lane: lane, queries: queries, limits: limits, route: route, isAll: isAll)
        }
        if let read { send(read) }
    }

    /// For what follows the listener's connection, where it hears and has not failed; otherwise the reader's. A server
    /// sends notifications only between answers, so that nothing long may keep the listener.
    private func route(_ lane: TailRegistry.Lane, unless givenUp: Int) -> Route {
        if lane == .following, let listening = listener.route, listening.number > givenUp {
            return .listener(listening)
        }
        return .reader(number: reader.connectionNumber, isBehindPooler: reader.isBehindPooler)
    }

    private func send(_ read: Read) {
        let (statement, parameters) = command(read)
        switch read.route {
        case .listener(let listening):
            listener.ask(statement, parameters, over: listening.session) { [weak self] outcome in
                self?.answered(read, self?.result(of: outcome, over: listening.number))
            }
        case .reader:
            reader.send(statement, parameters, deadline: .now + patience) { [weak self] in self?.answered(read, $0) }
        }
    }

    private func command(_ read: Read) -> (Statement, Parameters) {
        let queries = read.queries
        var parameters = Parameters()
        guard queries.count == 1 else {
            let count = queries.count
            parameters.appendArray(.text, count: count, hasNull: true) { names in
                for query in queries { names.add(query.streamID == nil ? query.stream.text : nil) }
            }
            parameters.appendArray(.int8, count: count, hasNull: true) { ids in
                for query in queries { ids.add(query.streamID) }
            }
            parameters.appendArray(.int8, count: count) { for query in queries { $0.add(query.position) } }
            parameters.appendArray(.int8, count: count) { for limit in read.limits { $0.add(limit) } }
            return (statements.tailPages, parameters)
        }
        let query = queries[0]
        if let id = query.streamID { parameters.append(id) } else { parameters.append(query.stream.text) }
        parameters.append(query.position)
        parameters.append(read.limits[0])
        guard query.streamID == nil else { return (statements.tailNextByID, parameters) }
        return (query.expectsOne ? statements.tailNext : statements.tailPage, parameters)
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

    private func answered(_ read: Read, _ answer: Result<QueryResult, JournalError>?) {
        var handed: [HandedOut] = []
        var result = answer
        // Asked on one connection, answered on another: what had to be compared was not.
        if case .reader(let number, _) = read.route, reader.connectionNumber != number { result = nil }
        // No answer in time, whatever the reason: the reader goes on connecting, and so does the tail.
        var wasLate = false
        if case .failure(let error) = answer, !error.endsTail { (result, wasLate) = (nil, reader.isConnected) }
        let mayLag = if case .reader = read.route { reader.isOnStandby } else { false }
        let pages: [Page] =
            if case .success(let result) = result { Self.pages(result, count: read.queries.count) } else { [] }
        let end = ContinuousClock.now
        var pause: Duration?
        state.withLock { state in
            state.isReading[read.lane] = false
            if read.lane == .following {
                let counts = pages.map { $0.rows.count }
                pause = state.pause.after(counts, of: read.limits, isAll: read.isAll, from: read.begin, to: end)
                state.isPausing = pause != nil
            }
            var consumers: [Int] = []
            switch result {
            case nil:
                if wasLate { state.readSize.wasLate() }
                state.registry.readAgain(read.queries)
            case .failure(let error): consumers = read.queries.compactMap { state.registry.failed($0, error) }
            case .success:
                let byteCount = pages.reduce(0) { $0 + $1.byteCount }
                state.readSize.answered(byteCount, in: read.lane, after: end - read.begin, within: patience)
                for (index, page) in pages.enumerated() {
                    let rows = page.rows
                    let endsLarge = rows.last.map { $0.event.json.utf8Count > PageReader.largeEventByteCount } ?? false
                    let consumer = state.registry.read(
                        read.queries[index],
                        rows,
                        streamID: page.streamID,
                        isFull: rows.count >= read.limits[index] || endsLarge,
                        connection: read.route.connection,
                        mayLag: mayLag
                    )
                    if let consumer { consumers.append(consumer) }
                }
            }
            handed = consumers.compactMap { state.handOut(to: $0) }
        }
        // First the wire, then the consumers.
        if let pause {
            reader.setAlarm(at: end + pause) { [weak self] in self?.resumeReading() }
        }
        self.read()
        for (delivery, result) in handed { delivery.set(result) }
        if !handed.isEmpty { listener.noteActivity() }
    }

    private func resumeReading() {
        state.withLock { $0.isPausing = false }
        read()
    }

    /// What a read brought for one tail.
    private struct Page {
        var rows: [EventRow] = []
        /// Nil where the statement does not tell it, and where there are no rows.
        var streamID: Int?

        var byteCount: Int { rows.reduce(0) { $0 + $1.event.json.utf8Count } }
    }

    /// What there is for each tail of a query, in order.
    private static func pages(_ result: QueryResult, count: Int) -> [Page] {
        if count == 1 {
            let rows = (0..<result.rowCount).compactMap { EventRow(result, row: $0) }
            return [Page(rows: rows, streamID: result.integer(row: 0, column: EventRow.columnCount))]
        }
        var pages = [Page](repeating: Page(), count: count)
        for row in 0..<result.rowCount {
            guard let ordinal = result.integer(row: row, column: 0), pages.indices.contains(ordinal - 1),
                let event = EventRow(result, row: row, firstColumn: 1)
            else { continue }
            pages[ordinal - 1].rows.append(event)
            pages[ordinal - 1].streamID = result.integer(row: row, column: 1 + EventRow.columnCount)
        }
        return pages
    }
}
