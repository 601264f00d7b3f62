import DequeModule
import LibPQ

/// Which streams are tailed for whom, up to where, and which of them may have something new. No IO, no threads.
///
/// A consumer pulls pages; it has one source, the stream it tails, or many, where it tails them all. A source is read when
/// both hold: somebody pulls, and there may be something (it is new, it was hinted at, it was not at its end when last
/// read). Hints only mark; what moves a cursor is rows that were read, or that this process has just written.
///
/// A consumer whose last page was full is read for once more while it is busy with that page; never more than that.
struct TailRegistry {
    /// What to ask for one source.
    struct Query: Sendable, Equatable {
        var id: Int
        var stream: StreamName
        /// From where; the event before the cursor is asked for too, where it must be compared.
        var position: Int
        var isCompared: Bool
        /// The stream's id, where it is to be read by that: then the server need not look for the name.
        var streamID: Int?
        /// Its events come one by one.
        var expectsOne = false
        /// What one weighs, in bytes of JSON, as far as is known.
        var eventByteCount = PageReader.largeEventByteCount
    }

    /// Sources are read in two lanes, so that what follows does not wait for what catches up.
    enum Lane: Sendable, CaseIterable {
        /// Its last read brought all there was, and little.
        case following
        /// It is new, or behind, or its events are large.
        case catchingUp
    }

    /// Something for each lane.
    struct PerLane<Value> {
        private var following: Value
        private var catchingUp: Value

        init(_ value: Value) { (following, catchingUp) = (value, value) }

        subscript(lane: Lane) -> Value {
            get { lane == .following ? following : catchingUp }
            _modify { if lane == .following { yield &following } else { yield &catchingUp } }
        }
    }

    private struct Consumer {
        var sources: [Int] = []
        var isWaiting = false
        /// The last page was full: the next is read before it is asked for.
        var readsAhead = false
        var pages: Deque<TailPage> = []
        var failure: JournalError?
        var marked: Deque<Int> = []

        var isReadFor: Bool { isWaiting || (readsAhead && pages.isEmpty) }
    }

    private var sources: [Int: Source] = [:]
    private var consumers: [Int: Consumer] = [:]
    private var sourcesByDigest: [UInt64: [Int]] = [:]
    /// Sources to be read, in the order they came to be so. Some may be gone, or their consumer have enough.
    private var ready = PerLane(Deque<Int>())
    private var nextSource = 0
    private var nextConsumer = 0

    var isEmpty: Bool { consumers.isEmpty }

    // MARK: Tails come and go

    mutating func addConsumer() -> Int {
        nextConsumer += 1
        consumers[nextConsumer] = Consumer()
        return nextConsumer
    }

    /// What the consumer follows already it follows from where it is.
    mutating func add(_ stream: StreamName, cursor: Int, for consumer: Int) {
        guard consumers[consumer] != nil, !isFollowed(stream, by: consumer) else { return }
        nextSource += 1
        sources[nextSource] = Source(consumer: consumer, stream: stream, cursor: cursor)
        consumers[consumer]?.sources.append(nextSource)
        sourcesByDigest[stream.digest, default: []].append(nextSource)
        place(nextSource)
    }

    private func isFollowed(_ stream: StreamName, by consumer: Int) -> Bool {
        sourcesByDigest[stream.digest]?.contains {
            sources[$0]?.consumer == consumer && sources[$0]?.stream == stream
        } ?? false
    }

    mutating func remove(_ consumer: Int) {
        guard let removed = consumers.removeValue(forKey: consumer) else { return }
        for id in removed.sources {
            guard let digest = sources.removeValue(forKey: id)?.stream.digest else { continue }
            sourcesByDigest[digest]?.removeAll { $0 == id }
            if sourcesByDigest[digest]?.isEmpty == true { sourcesByDigest[digest] = nil }
        }
    }

    // MARK: Pulling

    /// The consumer wants a page. It gets one at once, or by a later `take`.
    mutating func pull(_ consumer: Int) -> Result<TailPage, JournalError>? {
        consumers[consumer]?.isWaiting = true
        let taken = take(consumer)
        release(consumer)
        return taken
    }

    /// The page a consumer waits for, once there is one.
    mutating func take(_ id: Int) -> Result<TailPage, JournalError>? {
        guard consumers[id]?.isWaiting == true else { return nil }
        if let page = consumers[id]?.pages.popFirst() {
            consumers[id]?.isWaiting = false
            release(id)
            return .success(page)
        }
        guard let failure = consumers[id]?.failure else { return nil }
        consumers[id]?.isWaiting = false
        return .failure(failure)
    }

    /// What was marked while the consumer had enough is to be read, if it is read for now.
    private mutating func release(_ consumer: Int) {
        guard consumers[consumer]?.isReadFor == true else { return }
        while let id = consumers[consumer]?.marked.popFirst() {
            guard sources[id]?.place == .marked else { continue }
            sources[id]?.place = .nowhere
            place(id)
        }
    }

    // MARK: What this process appends

    /// An event was appended. Who waits for just that one has it, if what went before it is what it had delivered; for others
    /// it is as if it had been hinted at.
    ///
    /// - Parameters:
    ///   - predecessor: the token of the event before it.
    ///   - taking: gets the consumers that have something to take now.
    mutating func appended(
        _ row: EventRow,
        to stream: StreamName,
        behind predecessor: Token,
        taking: inout [Int]
    ) {
        for id in sourcesByDigest[stream.digest] ?? [] {
            guard let index = sources.index(forKey: id), sources.values[index].stream == stream else { continue }
            let consumer = sources.values[index].consumer
            if consumers[consumer]?.isWaiting == true, sources.values[index].take(row, behind: predecessor) {
                consumers[consumer]?.pages.append(TailPage(stream: stream, rows: [row]))
                taking.append(consumer)
            } else if sources.values[index].cursor <= row.position {
                mark(id)
            }
        }
    }

    // MARK: Hints

    /// A notification named these.
    ///
    /// - Returns: whether any of them is followed here.
    @discardableResult
    mutating func hint(_ digests: some Sequence<UInt64>) -> Bool {
        var isFollowed = false
        for digest in digests {
            guard let ids = sourcesByDigest[digest] else { continue }
            isFollowed = true
            for id in ids { mark(id) }
        }
        return isFollowed
    }

    /// Anything may have happened, and what was delivered may no longer be there.
    mutating func hintAll() {
        for id in Array(sources.keys) { mark(id) }
    }

    private mutating func mark(_ id: Int) {
        sources[id]?.mayHaveMore = true
        place(id)
    }

    private mutating func place(_ id: Int) {
        guard let source = sources[id], source.mayHaveMore, source.place == .nowhere else { return }
        if consumers[source.consumer]?.isReadFor == true {
            sources[id]?.place = .ready
            ready[source.lane].append(id)
        } else {
            sources[id]?.place = .marked
            consumers[source.consumer]?.marked.append(id)
        }
    }

    // MARK: Looking

    /// The sources at their end whose consumers wait: what a look is about. Those whose consumers do not wait are read
    /// when they next do.
    mutating func takeLook() -> [Query] {
        var queries: [Query] = []
        var unwatched: [Int] = []
        for (id, source) in sources where source.isAtEnd {
            if consumers[source.consumer]?.isReadFor == true {
                queries.append(Query(id: id, stream: source.stream, position: source.cursor, isCompared: false))
            } else {
                unwatched.append(id)
            }
        }
        for id in unwatched { mark(id) }
        return queries
    }

    /// A look found something there, by the stream's name.
    mutating func found(_ query: Query) {
        guard let source = sources[query.id] else { return }
        if source.cursor == query.position {
            sources[query.id]?.streamID = nil
            mark(query.id)
        } else if source.hasTaken {
            // It may be what was appended here, and taken meanwhile; and there may be more behind it.
            mark(query.id)
        }
    }

    // MARK: Reading

    /// Whether there may be something to read for somebody who waits, in any lane.
    var hasReady: Bool { Lane.allCases.contains { hasReady($0) } }

    /// The same in one.
    func hasReady(_ lane: Lane) -> Bool { !ready[lane].isEmpty }

    /// What to read now in one lane.
    ///
    /// - Parameters:
    ///   - limit: how many sources at most.
    ///   - byteCount: no more than are expected to bring so much, but one.
    ///   - isBehindPooler: the same connection may be to another server any time, so that all is compared.
    mutating func takeQueries(
        _ lane: Lane,
        limit: Int,
        byteCount: Int = .max,
        connection: Int,
        isBehindPooler: Bool = false
    ) -> [Query] {
        var queries: [Query] = []
        var rest = byteCount
        while queries.count < limit, let id = ready[lane].first {
            guard let source = sources[id], source.place == .ready else {
                ready[lane].removeFirst()
                continue
            }
            let expected = source.expectedByteCount
            guard queries.isEmpty || expected <= rest else { break }
            ready[lane].removeFirst()
            guard consumers[source.consumer]?.isReadFor == true else {
                sources[id]?.place = .nowhere
                place(id)
                continue
            }
            rest -= expected
            sources[id]?.place = .beingRead
            // Before the read: a hint that comes while it is under way is about something it may have missed.
            sources[id]?.mayHaveMore = false
            let isKnown = source.comparedOn == connection && (!isBehindPooler || source.isJustCompared)
            let isCompared = source.lastToken != nil && !isKnown
            queries.append(
                Query(
                    id: id,
                    stream: source.stream,
                    position: isCompared ? source.cursor - 1 : source.cursor,
                    isCompared: isCompared,
                    streamID: isKnown && !isBehindPooler ? source.streamID : nil,
                    expectsOne: source.expectsOne && !isCompared,
                    eventByteCount: source.eventByteCount
                )
            )
        }
        // The look-up of its name is little beside a page of one stream.
        if queries.count == 1, !queries[0].expectsOne { queries[0].streamID = nil }
        return queries
    }

    /// The read failed, or another connection answered than it was meant for: it is to be done again.
    mutating func readAgain(_ queries: [Query]) {
        for query in queries where sources[query.id]?.place == .beingRead {
            sources[query.id]?.place = .nowhere
            mark(query.id)
        }
    }

    /// The read was refused, and would be again: its consumers end.
    mutating func failed(_ query: Query, _ error: JournalError) -> Int? {
        guard let source = sources[query.id] else { return nil }
        fail(source.consumer, error)
        return source.consumer
    }

    /// The consumer ends with this, behind what it has not taken yet.
    mutating func fail(_ consumer: Int, _ error: JournalError) { consumers[consumer]?.failure = error }

    /// Takes the rows read for one source. `streamID`: as it came with them. `isFull`: there may be more behind them.
    /// `mayLag`: they are a standby's, where what was delivered may yet come.
    ///
    /// - Returns: the consumer that has something to take now.
    mutating func read(
        _ query: Query,
        _ rows: [EventRow],
        streamID: Int? = nil,
        isFull: Bool,
        connection: Int,
        mayLag: Bool = false
    ) -> Int? {
        guard var source = sources[query.id] else { return nil }
        var rows = rows[...]
        if query.isCompared, mayLag, rows.isEmpty {
            sources[query.id]?.place = .nowhere
            place(query.id)
            return nil
        }
        if query.isCompared {
            let found = rows.popFirst()
            guard let found, found.position == source.cursor - 1, found.token == source.lastToken else {
                return failed(query, Self.replacement(source, found: found))
            }
        }
        let whole = zip(rows, source.cursor...).prefix { $0.position == $1 }.count
        if whole < rows.count {
            guard whole > 0 else { return failed(query, .damaged(source.stream, at: source.cursor)) }
            // Behind them the next read finds that one is missing, whatever it asks for.
            rows = rows.prefix(whole)
            source.mayHaveMore = true
        }
        // An id that brings nothing is given up: where an operator has put the stream under another, the name finds it.
        source.streamID = streamID ?? (rows.isEmpty ? nil : query.streamID)
        source.comparedOn = connection
        source.isJustCompared = query.isCompared && rows.isEmpty && isFull
        source.place = .nowhere
        source.mayHaveMore = source.mayHaveMore || isFull
        source.learn(from: rows, isFull: isFull, expectedOne: query.expectsOne)
        // Unknown until the next read finds nothing, but a hint would tell: rows that came are rows that were hinted at.
        if let last = rows.last {
            source.cursor = last.position + 1
            source.lastToken = last.token
            consumers[source.consumer]?.pages.append(TailPage(stream: source.stream, rows: Array(rows)))
            consumers[source.consumer]?.readsAhead = isFull
        }
        sources[query.id] = source
        place(query.id)
        return rows.isEmpty ? nil : source.consumer
    }

    private static func replacement(_ source: Source, found: EventRow?) -> JournalError {
        let position = source.cursor - 1
        let delivered = source.lastToken.map { "\($0)" } ?? "none"
        let there = found.flatMap { $0.position == position ? "the append \($0.token)" : nil } ?? "nothing"
        var error = JournalError(
            .logReplaced,
            "stream \(source.stream): at position \(position) the append \(delivered) was delivered, and now there is "
                + "\(there): the server lost the end of the log"
        )
        error.expectedPosition = position
        error.actualPosition = found?.position
        return error
    }
}

/// Events of one stream that were read together.
struct TailPage: Sendable {
    var stream: StreamName
    var rows: [EventRow]
}
