import LibPQ
import Logging
import TisynStreams

/// A journal on PostgreSQL: opens streams, tails and replay indices over a handful of connections that all of them share.
///
/// One for a process and database, whatever the number of streams. `close` it, or use `withJournal`; it reconnects by
/// itself until then.
///
/// ```swift
/// try await withJournal(JournalConfiguration(databaseURL: url)) { journal in
///     let stream = try journal.stream("orders/17")
///     let position = try await stream.append(event)
/// }
/// ```
public final class Journal: Sendable {
    public let configuration: JournalConfiguration

    /// What was found when the journal was opened.
    public let server: ServerDescription

    let statements: Statements
    let schema: SchemaName
    let tails: TailHub
    let replayIndices = StreamIndexRegistry()
    private let readers: [Requester]
    /// To the primary, made when first needed: for what waits for a synchronous standby, so that it keeps no read waiting,
    /// and for what must not lag where the readers are on a standby.
    let claimer: Requester
    /// To the primary, made when first needed: for what waits for a stream's lock, so that it keeps nothing else waiting.
    let lockWaiter: Requester
    /// Whether the connection string names more servers than one.
    package let hasOtherHosts: Bool
    /// Whether the readers may be on a standby, though there is a primary to be asked.
    private let readsMayLag: Bool
    private let metrics: JournalMetrics
    let gate: AppendGate
    private let appender: Appender
    private let announcer: Announcer
    let transactions: TransactionPool
    let inquiry: Inquiry
    let runningTransactions = RunningTransactions()

    /// Connects, and checks that the journal is there and in the version this library knows.
    ///
    /// - Parameter migrate: first bring the schema to this library's version, see `Migrator.migrate`.
    /// - Throws: `JournalError`: `unreachable` when no server answered within `openTimeout`, `unfit` when one did and
    ///   will not do, `schemaBehind` or `schemaAhead`, `invalidArgument` for a connection string or schema name that is
    ///   none, or a property of the configuration that is out of its range; what `migrate` throws. Cancelling the task ends
    ///   the attempt.
    public static func open(
        _ configuration: JournalConfiguration,
        migrate: Bool = false
    ) async throws(JournalError) -> Journal {
        let schema = try SchemaName(configuration.schema)
        try configuration.validate()
        if migrate { try await Migrator(configuration).migrate() }
        let options = Link.Options(configuration, schema)
        let reader = Requester(options)
        do {
            let greeting = try await reader.open(within: configuration.openTimeout)
            return Journal(configuration, schema, options, reader, ServerDescription(greeting))
        } catch {
            reader.close()
            throw error
        }
    }

    private init(
        _ configuration: JournalConfiguration,
        _ schema: SchemaName,
        _ options: Link.Options,
        _ reader: Requester,
        _ server: ServerDescription
    ) {
        self.configuration = configuration
        self.server = server
        self.schema = schema
        statements = options.statements
        readers = [reader] + (1..<configuration.readerConnections).map { _ in Requester(options) }
        var writing = options
        writing.purpose = "append"
        writing.needsPrimary = true
        writing.session.overrides += ConnectionDefaults.primary(configuration.databaseURL)
        hasOtherHosts = SessionOptions.hostCount(configuration.databaseURL) > 1
        readsMayLag = SessionOptions.mayReachStandby(configuration.databaseURL)
        var claiming = writing
        claiming.purpose = "claim"
        claimer = Requester(claiming)
        claiming.purpose = "lock"
        lockWaiter = Requester(claiming)
        let announcer = Announcer(writing)
        self.announcer = announcer
        metrics = options.metrics
        gate = AppendGate(
            limit: configuration.maximumQueuedBytes,
            deadline: configuration.appendDeadline,
            metrics: metrics
        )
        writing.measuresWay = true
        tails = TailHub(configuration, schema, options, reader: reader, announcer: announcer)
        appender = Appender(writing, configuration, announcer: announcer, tails: tails)
        transactions = TransactionPool(writing.session, limit: configuration.transactionConnections)
        inquiry = Inquiry(writing)
    }

    // MARK: Streams

    /// The stream of that name. Nothing is sent: a stream need not exist to be read, tailed or appended to.
    ///
    /// - Throws: `JournalError` with `invalidArgument` for a name that cannot be one, see `StreamName`.
    public func stream(_ name: String) throws(JournalError) -> PostgresStream { stream(try StreamName(name)) }

    public func stream(_ name: StreamName) -> PostgresStream { PostgresStream(journal: self, name: name, epoch: nil) }

    /// The streams there are, by name (bytewise), in pages: none is missed that existed before, each comes once.
    ///
    /// It fails with `invalidArgument`, when it is first asked, for a prefix that is longer than a name can be or holds a NUL;
    /// otherwise as reading does: `unreachable` when the server cannot be asked within the read deadline, `cancelled`,
    /// `closed`.
    public func streams(prefix: String = "", status: StreamSummary.Filter = .all) -> StreamList {
        StreamList(journal: self, prefix: prefix, filter: status)
    }

    /// The events of all streams that begin with `prefix`, those to come included: each stream's once and in its order;
    /// between streams there is no order. `from`: where each stream begins; with `end`, a stream that is created later
    /// begins at its start. It ends as a `Tail` does, but never with a close; and with `invalidArgument` for a prefix that is
    /// longer than a name can be or holds a NUL.
    ///
    /// It keeps a cursor for each stream, and 8 bytes for each other stream of the schema.
    public func tailAll(prefix: String = "", from start: TailStart = .start) -> TailOfAll {
        TailOfAll(journal: self, prefix: prefix, start: start)
    }

    /// What became of an append whose error had a receipt.
    ///
    /// Where this journal made the append and finds it `written`, its replays of the stream take it for appended here and
    /// now: the cursor of the one that ran the effect moves past it. (As long as this process waits to learn of no more than
    /// 16,384 events; the oldest are forgotten, and `consumeYield` is the caller's.) A replay that goes on without having
    /// asked takes the event for another's, and the next effect gets its result or diverges: resolve first, or replay from a
    /// new index. For another process the event is an entry like any other.
    ///
    /// - Throws: `JournalError` when the server cannot be asked within the read deadline.
    public func resolve(_ receipt: AppendReceipt) async throws(JournalError) -> AppendResolution {
        let parameters = resolving(receipt.stream, receipt.token, from: receipt.position, waits: false)
        // Where it is found, the commit waits for what the append's own would have waited for.
        let requester = reader.isOnStandby && !hasOtherHosts ? reader : claimer
        let result = try await requester.request([(statements.resolve, parameters)], within: configuration.readDeadline)
        let resolution = Self.resolution(result, of: receipt)
        replayIndices.resolved(receipt, resolution)
        return resolution
    }

    private static func resolution(_ result: QueryResult, of receipt: AppendReceipt) -> AppendResolution {
        if let position = result.integer(row: 0, column: 0) { return .written(at: position + receipt.offset) }
        let next = result.integer(row: 0, column: 1) ?? 0
        // Out of reach for any sending: the stream was claimed since, or it has gone on; exact ones end at their position,
        // others after 1,000 more.
        let isFenced = result.integer(row: 0, column: 2) ?? 0 > receipt.epoch ?? 0
        return isFenced || next > receipt.position + 1000 ? .notWritten : .notWrittenYet
    }

    func resolving(_ stream: StreamName, _ token: Token, from position: Int, waits: Bool) -> Parameters {
        var parameters = Parameters()
        parameters.append(stream.text)
        parameters.append(token)
        parameters.append(position)
        parameters.append(waits)
        parameters.append(configuration.durability.rawValue)
        return parameters
    }

    // MARK: Where tasks run

    /// Runs tasks on the thread that takes the answers to appends (of the first connection, where there are more): for what
    /// appends one event after the other and does little in between, such as the loop of a workflow.
    ///
    /// ```swift
    /// try await withTaskExecutorPreference(journal.taskExecutor) {
    ///     for event in events { try await stream.append(event) }
    /// }
    /// ```
    ///
    /// Elsewhere each answer is handed from that thread to the task's, which with two processors took 20 to 80 µs of an append.
    /// The tasks there share one thread. While one of them computes, other appends of this journal wait for their answers, so
    /// what computes for longer than a millisecond, or blocks its thread, belongs elsewhere:
    /// `withTaskExecutorPreference(globalConcurrentExecutor)` takes it there. Where one blocks it all the same, no append is
    /// written twice and none that was acknowledged is lost; but what is under way on that connection is answered when it goes
    /// on, or past `appendDeadline` fails as `unknown` though it was written.
    ///
    /// Before the journal's first append, without a connection and after `close` the tasks run on the global executor. It
    /// changes nothing but where tasks run: child tasks and actors without an executor of their own follow, as SE-0417 says.
    public var taskExecutor: any TaskExecutor { appender.taskExecutor }

    // MARK: The end

    /// Waits until every transaction begun so far has ended, every append accepted so far has been answered, and the tails
    /// have been told. Where they cannot be told for half a minute, it waits no longer: they find the events at their next
    /// check.
    ///
    /// For transactions it waits for the configuration's `appendDeadline` at most, and no longer once its task is cancelled;
    /// for one in whose body it is called, not at all.
    public func flush() async {
        await runningTransactions.flush(within: configuration.appendDeadline)
        await flushAppends()
        await announcer.flush()
    }

    private func flushAppends() async {
        await gate.flush()
        // What callers have given up is still on the wire.
        await appender.flush()
    }

    /// Waits for the transactions and appends under way, and a second at most until the tails have been told of them; then
    /// ends everything: later calls fail with `closed`, tails end so too. An append that comes while it waits is either
    /// waited for as well, or fails with `closed`, and was not written.
    ///
    /// No transaction begins any more: it fails with `closed`. For those that run it waits for the configuration's
    /// `appendDeadline` at most, and no longer once its task is cancelled; then it ends them, and what their bodies ask for
    /// fails with `closed`. Nothing of such a transaction was written, unless its commit had been sent: then the error's
    /// outcome is `unknown`. One in whose body `close` is called, or in a task that was made there, is ended at once so: it
    /// could not end while it waits.
    public func close() async {
        runningTransactions.close()
        transactions.close()
        await runningTransactions.flush(within: configuration.appendDeadline)
        runningTransactions.endAll()
        gate.refuse()
        await flushAppends()
        await announcer.flushBriefly()
        closeNow()
    }

    private func closeNow() {
        tails.close()
        gate.close()
        appender.close()
        announcer.close()
        transactions.close()
        claimer.close()
        lockWaiter.close()
        for reader in readers { reader.close() }
    }

    deinit { closeNow() }

    // MARK: For streams

    /// Returns when there is room for so many bytes of events. Who has it appends, or leaves the gate.
    func room(for byteCount: Int) async throws(JournalError) -> AppendGate.Pass {
        do throws(JournalError) {
            if let pass = try gate.enter(byteCount) { return pass }
            return try await gate.wait(byteCount)
        } catch {
            metrics.appendFailed(error.code)
            throw error
        }
    }

    /// The position of the first.
    func append(
        _ events: [DurableEvent],
        to stream: PostgresStream,
        expecting: Int?,
        in room: AppendGate.Pass
    ) async throws(JournalError) -> Int {
        do throws(JournalError) {
            let first = try await appender.append(events, to: stream.name, epoch: stream.epoch, expecting: expecting)
            gate.leave(room)
            metrics.appended(since: room.cameAt)
            return first
        } catch {
            gate.leave(room, because: error)
            metrics.appendFailed(error.code)
            throw error
        }
    }

    /// These streams have new events.
    func announce(_ streams: [StreamName]) {
        tails.moved(streams)
        announcer.announce(streams)
    }

    /// - Parameter isCurrent: what a lagging standby knows will not do.
    func request(
        _ statement: Statement,
        _ parameters: Parameters,
        isCurrent: Bool = false
    ) async throws(JournalError) -> QueryResult {
        let requester = isCurrent ? current(reader) : reader
        return try await requester.request([(statement, parameters)], within: configuration.readDeadline)
    }

    /// By the reader, which is connected. Where somebody holds the stream for longer than reads may be kept waiting, or
    /// the reader is on a standby and there are other servers, by the one that waits for locks.
    func claim(_ parameters: Parameters) async throws(JournalError) -> QueryResult {
        let (reader, deadline) = (reader, ContinuousClock.now + configuration.readDeadline)
        let elsewhere: Set = [SQLState.lockNotAvailable, SQLState.readOnly]
        if !reader.isOnStandby || !hasOtherHosts {
            do throws(JournalError) {
                return try await reader.request(
                    [statements.waiting(atMost: .milliseconds(100)), (statements.claim, parameters)],
                    within: configuration.readDeadline,
                    finalStates: elsewhere
                )
            } catch {
                guard let state = error.sqlState, elsewhere.contains(state) else { throw error }
                // It was a standby already when it was connected to, and there is no other.
                if state == SQLState.readOnly, reader.isOnStandby, !hasOtherHosts {
                    throw JournalError(.unfit, "\(server.place) takes no claims: \(error.message); name the primary")
                }
                guard ContinuousClock.now < deadline else {
                    throw .refusedUntilDeadline(error.message, sqlState: state, ofHeldStream: true)
                }
            }
        }
        return try await lockWaiter.request(
            [(statements.claim, parameters)],
            within: deadline - .now,
            waitsForLock: true
        )
    }

    /// The reader with the least to do would be better only where one is stuck, and a stuck one is reset.
    var reader: Requester { readers.count == 1 ? readers[0] : readers[Int.random(in: readers.indices)] }

    /// The reader, or the primary where that may be on a standby, which may lag. Not by what it is on just now: its next
    /// connection may be to another.
    func current(_ reader: Requester) -> Requester { readsMayLag ? claimer : reader }
}

/// What became of an append with an unknown outcome.
public enum AppendResolution: Sendable, Hashable {
    case written(at: Int)
    /// It is not there and never will be.
    case notWritten
    /// It is not there; while a connection that was lost may still be working on it, it could come to be. Claiming the
    /// stream rules that out.
    case notWrittenYet
}

/// Opens a journal, runs `body`, and closes it again, having waited for the transactions and appends under way.
///
/// - Returns: what `body` returned.
/// - Throws: what `Journal.open` and `body` throw.
@discardableResult
public func withJournal<R: Sendable>(
    _ configuration: JournalConfiguration,
    migrate: Bool = false,
    isolation: isolated (any Actor)? = #isolation,
    _ body: (Journal) async throws -> R
) async throws -> R {
    let journal = try await Journal.open(configuration, migrate: migrate)
    do {
        let result = try await body(journal)
        await journal.close()
        return result
    } catch {
        await journal.close()
        throw error
    }
}
