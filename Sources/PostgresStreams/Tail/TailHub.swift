import LibPQ
import Logging
import Synchronization

/// All tails of a journal: wakes them by hints, reads for those that wait, many in one query.
///
///     listener ── hint ──► registry ── waiting and hinted ──► one query ──► each consumer's page
///              ── look ──► registry ── waiting ──► one query ──► those that have moved ──► as above
///     appender ── answer ─► registry ── waiting for just that event ──► the consumer's page
///
/// A consumer that does not pull is not read for. One query is under way at a time for those that follow, and one for those
/// that catch up; what is hinted at meanwhile is in the next one.
final class TailHub: Sendable {
    typealias Delivery = Once<Result<TailPage, JournalError>>

    /// What goes to a consumer once the lock is free.
    typealias HandedOut = (delivery: Delivery, result: Result<TailPage, JournalError>)

    struct State {
        var registry = TailRegistry()
        var deliveries: [Int: Delivery] = [:]
        var discoveries: [Int: StreamDiscovery] = [:]
        /// Whether a read is under way.
        var isReading = TailRegistry.PerLane(false)
        var readSize: TailReadSize
        /// The next read of those that follow waits for the alarm, so that it brings more at once.
        var isPausing = false
        var pause = TailPause()
        var isClosed = false
        /// A look under way, and whether another was asked for: it may have looked too early.
        var isLooking = false
        var looksAgain = false
        /// What of a look is still to be asked.
        var look: ArraySlice<TailRegistry.Query> = []
        /// The reader's connection that was last looked on.
        var lookedOn = -1
        /// The listener's connection that last failed to answer, or refused.
        var givenUpRoute = 0

        /// What a consumer waits for, if it is there.
        mutating func handOut(to consumer: Int) -> HandedOut? {
            guard let result = registry.take(consumer), let delivery = deliveries.removeValue(forKey: consumer) else {
                return nil
            }
            return (delivery, result)
        }
    }

    let state: Mutex<State>
    let reader: Requester
    let statements: Statements
    /// How long the reader's connection may leave a query unanswered before it counts as dead.
    let patience: Duration
    private let checkInterval: Duration
    let listener: Listener
    private let announcer: Announcer
    /// Whether there are tails.
    private let hasTails = Atomic(false)

    init(
        _ configuration: JournalConfiguration,
        _ schema: SchemaName,
        _ options: Link.Options,
        reader: Requester,
        announcer: Announcer
    ) {
        state = Mutex(State(readSize: TailReadSize(pageSize: configuration.pageSize)))
        self.reader = reader
        self.announcer = announcer
        statements = options.statements
        patience = configuration.readDeadline
        checkInterval = configuration.listening.checkInterval
        listener = Listener(configuration, schema, options, reader: reader, announcer: announcer)
        listener.onHint { [weak self] in self?.hint($0) }
    }

    // MARK: For tails

    /// Registers a tail of one stream. `remove` it when its consumer is gone.
    func add(_ stream: StreamName, cursor: Int) -> Int {
        let consumer = state.withLock { state in
            let consumer = state.registry.addConsumer()
            state.registry.add(stream, cursor: cursor, for: consumer)
            hasTails.store(true, ordering: .relaxed)
            return consumer
        }
        listener.start()
        return consumer
    }

    /// Registers a tail of all streams that begin with `prefix`, those to come included.
    func addAll(prefix: String, from start: TailStart) -> Int {
        let (consumer, discovery) = state.withLock { state in
            let consumer = state.registry.addConsumer()
            let scan = StreamScan(prefix: prefix, from: start, interval: checkInterval)
            let discovery = StreamDiscovery(reader, statements.discover, scan, patience: patience) { [weak self] in
                self?.discovered($0, for: consumer)
            }
            state.discoveries[consumer] = discovery
            hasTails.store(true, ordering: .relaxed)
            return (consumer, discovery)
        }
        listener.start()
        discovery.look()
        return consumer
    }

    func remove(_ consumer: Int) {
        let isIdle = state.withLock { state in
            state.registry.remove(consumer)
            state.deliveries[consumer] = nil
            state.discoveries[consumer] = nil
            hasTails.store(!state.registry.isEmpty, ordering: .relaxed)
            return state.registry.isEmpty
        }
        guard isIdle else { return }
        listener.stop()
        // Another may have begun meanwhile, and found the listener at work.
        if state.withLock({ !$0.registry.isEmpty }) { listener.start() }
    }

    /// The next events of a tail, once there are some.
    func next(_ consumer: Int) async throws(JournalError) -> TailPage {
        let delivery = Delivery()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                delivery.onValue { continuation.resume(returning: $0) }
                let (result, isToRead): (Result<TailPage, JournalError>?, Bool) = state.withLock { state in
                    guard !state.isClosed else { return (.failure(.closed), false) }
                    let result = state.registry.pull(consumer)
                    if result == nil { state.deliveries[consumer] = delivery }
                    return (result, state.registry.hasReady)
                }
                if isToRead { read() }
                if let result { delivery.set(result) }
            }
        } onCancel: {
            delivery.set(.failure(.cancelled))
        }
        return try result.get()
    }

    func close() {
        let deliveries = state.withLock { state in
            state.isClosed = true
            state.discoveries = [:]
            return Array(state.deliveries.values)
        }
        for delivery in deliveries { delivery.set(.failure(.closed)) }
        listener.close()
    }

    private func discovered(_ found: Result<[(name: StreamName, cursor: Int)], JournalError>, for consumer: Int) {
        let handed: HandedOut? = state.withLock { state in
            switch found {
            case .success(let streams):
                for stream in streams { state.registry.add(stream.name, cursor: stream.cursor, for: consumer) }
                return nil
            case .failure(let error):
                state.discoveries[consumer] = nil
                state.registry.fail(consumer, error)
                return state.handOut(to: consumer)
            }
        }
        read()
        if let handed { handed.delivery.set(handed.result) }
    }

    // MARK: What this journal appends

    /// Whether `appended` has anybody to tell.
    ///
    /// Not where reads go through a pooler: it may send them to a standby, where an event that was delivered is yet to come,
    /// and which nobody can tell from a server that has lost it.
    var takeAppended: Bool { hasTails.load(ordering: .relaxed) && !reader.isBehindPooler }

    /// These were committed: who waits for just that event has it. Who follows a stream and has something else to take first
    /// reads it, as if it had been hinted at; and so does everybody where reads are another server's business: what it does not
    /// have must not look like a log that lost its end.
    ///
    /// - Parameter server: where (`Greeting.serverStart`).
    func appended(_ written: [Segment.Written], on server: Int64?) {
        guard hasTails.load(ordering: .relaxed) else { return }
        guard takeAppended, let server, server == reader.serverStart, server == listener.serverStart ?? server else {
            return moved(written.lazy.map(\.stream))
        }
        let (handed, isToRead): ([HandedOut], Bool) = state.withLock { state in
            var taking: [Int] = []
            for event in written {
                state.registry.appended(event.row, to: event.stream, behind: event.predecessor, taking: &taking)
            }
            return (taking.compactMap { state.handOut(to: $0) }, state.registry.hasReady)
        }
        if isToRead { read() }
        for (delivery, result) in handed { delivery.set(result) }
        if !handed.isEmpty { listener.noteActivity() }
    }

    /// These have new events, or may have.
    func moved(_ streams: some Sequence<StreamName>) {
        guard hasTails.load(ordering: .relaxed) else { return }
        if state.withLock({ $0.registry.hint(streams.map(\.digest)) }) { read() }
    }

    // MARK: Hints

    private func hint(_ hint: Listener.Hint) {
        switch hint {
        case .streams(let payload):
            let digests = HintPayload(payload)
            // Though a standby may not have had it when they were. Nor have those been told who look for new streams.
            let isKnown = announcer.wasTold(digests) && !reader.isOnStandby
            let (concernsUs, discoveries) = state.withLock { state in
                // All of them: what one tail follows may be news to another.
                (isKnown ? false : state.registry.hint(digests), Array(state.discoveries.values))
            }
            if concernsUs { read() }
            for discovery in discoveries { discovery.look(for: digests) }
        case .everything:
            look()
            for discovery in state.withLock({ Array($0.discoveries.values) }) { discovery.look() }
        }
    }
}
