import LibPQ
import Logging
import Metrics
import Synchronization
import TisynStreams

/// The connections that append, and the one queue of all appends of a journal.
///
/// Who appends puts the append into the queue and, where a connection is free, the segment onto it, from their own thread.
/// From then on each connection's thread goes from segment to segment:
///
///     answer of segment n ─► queue ─► send segment n + 1 (or gather) ─► tell the callers of n
///
/// After each commit the announcer wakes the tails: on a connection of its own, or, where appends are few and far between,
/// right behind the commit on this one.
final class Appender: Sendable {
    private typealias Continuation = CheckedContinuation<Result<Int, JournalError>, Never>

    private struct State {
        var queue: AppendQueue
        var gathering = Gathering()
        /// Those who wait for an answer. Who was cancelled does not, though the append may be on the wire.
        var callers: [Int: Continuation] = [:]
        var lastID = 0
        var lines: [Line]
        var isClosed = false
        var lastError: JournalError?
        /// When the first append's deadline is looked at. Not set anew at each append, only when it has rung.
        var deadlineTimer: ContinuousClock.Instant?
        var flushers: [Flusher] = []
    }

    /// A connection as the queue's state sees it.
    private struct Line {
        var session: Session?
        var isStarted = false
        var segmentID: Int?
        var sentAt = ContinuousClock.now
        /// When the last answer came: whether anybody is likely to append right behind the next.
        var answeredAt = ContinuousClock.now
        /// The server is out of something, or somebody holds a lock: nothing is sent before.
        var pausedUntil: ContinuousClock.Instant?
        var pause = BackOff()

        var isFree: Bool { session != nil && segmentID == nil && pausedUntil == nil }
    }

    /// Waits until what was accepted before it has been answered.
    private struct Flusher {
        var lastID: Int
        var remaining: Int
        var done: CheckedContinuation<Void, Never>
    }

    /// A segment that a connection has been given, to be put on its wire outside the lock.
    private struct Departure {
        var line: Int
        var session: Session
        var segment: Segment
        /// Nothing was appended for a while before it.
        var isLone: Bool
    }

    /// What was decided under the lock, to be done outside it: first the wire, then the callers.
    private struct Effects {
        var departures: [Departure] = []
        var told: [(Continuation, Result<Int, JournalError>)] = []
        var flushed: [CheckedContinuation<Void, Never>] = []
        /// Connections that are to be made: there is more to send than the others can take.
        var starting: [Int] = []
        var timers: [Int] = []
    }

    private let state: Mutex<State>
    private let links = Mutex<[Link]>([])
    private let statements: Statements
    private let announcer: Announcer
    private let durability: JournalConfiguration.Durability
    private let deadline: Duration
    private let logger: Logger
    private static let leastShare = 8
    private let segmentSizes = Recorder(label: "durable_streams_segment_appends")

    init(_ options: Link.Options, _ configuration: JournalConfiguration, announcer: Announcer) {
        statements = options.statements
        self.announcer = announcer
        durability = configuration.durability
        deadline = configuration.appendDeadline
        logger = configuration.logger
        let count = configuration.writerConnections
        let limits = AppendQueue.Limits(bytes: configuration.maximumSegmentBytes, segmentsUnderWay: count)
        state = Mutex(State(queue: AppendQueue(limits: limits), lines: Array(repeating: Line(), count: count)))
        let links = (0..<count).map { line in
            Link(options) { [weak self] event in self?.handle(event, on: line) ?? false }
        }
        self.links.withLock { $0 = links }
    }

    deinit { for link in allLinks { link.close() } }

    private var allLinks: [Link] { links.withLock { $0 } }

    private func link(_ line: Int) -> Link { links.withLock { $0[line] } }

    // MARK: For callers

    /// Appends, and returns the first event's position once they are durable.
    func append(
        _ events: [DurableEvent],
        to stream: StreamName,
        epoch: Int?,
        expecting: Int?
    ) async throws(JournalError) -> Int {
        let ticket = Ticket()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let append = Append(
                    id: 0,
                    stream: stream,
                    epoch: epoch,
                    expecting: expecting,
                    events: events,
                    byteCount: Append.byteCount(of: events),
                    deadline: .now + deadline
                )
                add(append, ticket, continuation)
            }
        } onCancel: {
            cancel(ticket, stream)
        }
        return try result.get()
    }

    /// Returns when everything accepted so far has been answered.
    func flush() async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            let isEmpty = state.withLock { state in
                let remaining = state.queue.count
                guard remaining > 0 else { return true }
                state.flushers.append(Flusher(lastID: state.lastID, remaining: remaining, done: done))
                return false
            }
            if isEmpty { done.resume() }
        }
    }

    /// Fails what has not been answered. `flush` first, to wait for it.
    func close() {
        perform { state, effects in
            state.isClosed = true
            let resolutions = state.queue.close(because: JournalError(.closed, "the journal was closed"))
            resolve(resolutions, &state, &effects)
        }
        for link in allLinks { link.close() }
    }

    private func add(_ append: Append, _ ticket: Ticket, _ continuation: Continuation) {
        var append = append
        perform { state, effects in
            guard !state.isClosed else {
                let error = JournalError(.closed, outcome: .notWritten, "the journal was closed")
                return effects.told.append((continuation, .failure(error)))
            }
            state.lastID += 1
            append.id = state.lastID
            guard ticket.accept(append.id) else {
                return effects.told.append((continuation, .failure(.cancelledUnsent)))
            }
            state.callers[append.id] = continuation
            state.queue.add(append)
            if state.deadlineTimer == nil {
                state.deadlineTimer = append.deadline
                effects.timers.append(0)
            }
            if state.gathering.isActive {
                if let line = state.gathering.added() { depart(line, &state, &effects) }
            } else {
                departWherePossible(&state, &effects)
            }
        }
    }

    private func cancel(_ ticket: Ticket, _ stream: StreamName) {
        perform { state, effects in
            guard let id = ticket.cancel(), let caller = state.callers[id] else { return }
            var error = JournalError.cancelledUnsent
            if state.queue.withdraw(id, of: stream) {
                count(id, &state, &effects)
            } else {
                // Awaited on the wire, though not by the caller.
                error.outcome = .unknown
                error.receipt = state.queue.receipt(of: id)
            }
            state.callers[id] = nil
            effects.told.append((caller, .failure(error)))
        }
    }

    // MARK: Under the lock

    private func perform(_ body: (inout State, inout Effects) -> Void) {
        var effects = Effects()
        state.withLock { body(&$0, &effects) }
        for line in effects.starting { link(line).start() }
        for departure in effects.departures { send(departure) }
        for line in effects.timers { setTimer(line) }
        for (caller, result) in effects.told { caller.resume(returning: result) }
        for flusher in effects.flushed { flusher.resume() }
    }

    /// Gives this connection what there is to send, if it can take it: no more than its share of all there is, so that
    /// the others find something to do. Below a few appends a share is not worth a commit.
    private func depart(_ line: Int, _ state: inout State, _ effects: inout Effects) {
        guard state.lines[line].isFree, let session = state.lines[line].session else { return }
        let share = state.queue.count / state.lines.count { $0.session != nil }
        guard let segment = state.queue.nextSegment(atMost: max(Self.leastShare, share + 1)) else { return }
        state.lines[line].segmentID = segment.id
        state.lines[line].sentAt = .now
        let isLone = segment.runs.count == 1 && state.lines[line].answeredAt + Self.loneness <= .now
        effects.departures.append(Departure(line: line, session: session, segment: segment, isLone: isLone))
    }

    /// The first connection that is free takes what there is. Where all are busy, another one is made.
    private func departWherePossible(_ state: inout State, _ effects: inout Effects) {
        guard state.queue.hasReady else { return }
        if let line = state.lines.firstIndex(where: \.isFree) { return depart(line, &state, &effects) }
        let isConnecting = state.lines.contains { $0.isStarted && $0.session == nil }
        guard !isConnecting, let line = state.lines.firstIndex(where: { !$0.isStarted }) else { return }
        state.lines[line].isStarted = true
        effects.starting.append(line)
    }

    private func resolve(_ resolutions: [AppendQueue.Resolution], _ state: inout State, _ effects: inout Effects) {
        for resolution in resolutions {
            if let caller = state.callers.removeValue(forKey: resolution.id) {
                effects.told.append((caller, resolution.result))
            }
            if !state.flushers.isEmpty { count(resolution.id, &state, &effects) }
        }
    }

    private func count(_ id: Int, _ state: inout State, _ effects: inout Effects) {
        for index in state.flushers.indices where id <= state.flushers[index].lastID {
            state.flushers[index].remaining -= 1
        }
        effects.flushed += state.flushers.filter { $0.remaining <= 0 }.map(\.done)
        state.flushers.removeAll { $0.remaining <= 0 }
    }

    // MARK: The wire

    private func send(_ departure: Departure) {
        let segment = departure.segment
        let session = departure.session
        segmentSizes.record(segment.appendCount)
        // A NOTIFY in a transaction of its own behind the append's: tails learn of a lone append without waiting for its
        // answer to come here first. Not where the next append would have to wait for it.
        let announcement =
            departure.isLone ? segment.runs.first.flatMap { announcer.announcement(of: $0.stream) } : nil
        let append = Batch([segment.command(statements, durability)]) { [self] outcome in
            answered(segment, on: departure.line, over: session, isAnnounced: announcement != nil, outcome)
        }
        session.submit([append] + [announcement].compactMap { $0 })
    }

    /// Several times what the NOTIFY takes.
    private static let loneness = Duration.microseconds(500)

    private func answered(
        _ segment: Segment,
        on line: Int,
        over session: Session,
        isAnnounced: Bool,
        _ outcome: Result<[QueryResult], BatchFailure>
    ) {
        let now = ContinuousClock.now
        var needsReconnect = false
        perform { state, effects in
            if state.lines[line].segmentID == segment.id { state.lines[line].segmentID = nil }
            state.lines[line].answeredAt = now
            var resolutions: [AppendQueue.Resolution] = []
            switch outcome {
            case .success(let results):
                guard let answers = results.last.flatMap(segment.answers) else {
                    // It committed, and we cannot tell what: asked again until the deadline says that it is unknown.
                    state.lastError = JournalError(.refused, "the server answered an append in an unknown form")
                    state.queue.connectionLost(segment.id, sent: true)
                    pause(line, &state, &effects)
                    break
                }
                resolutions = state.queue.answered(segment.id, answers)
                state.lines[line].pause = BackOff()
            case .failure(.refused(let message)):
                state.lastError = JournalError(message, outcome: nil)
                if SQLState.isPoolerMixUp(message.sqlState) {
                    session.usePreparedStatements(false)
                    state.queue.connectionLost(segment.id, sent: false)
                } else {
                    needsReconnect = SQLState.needsReconnect(message.sqlState)
                    resolutions = state.queue.refused(segment.id, message)
                    if SQLState.isWorthRetrying(message.sqlState) { pause(line, &state, &effects) }
                }
            case .failure(.connectionLost(_, let sent)):
                state.queue.connectionLost(segment.id, sent: sent)
                needsReconnect = true
            }
            if needsReconnect, state.lines[line].session === session { state.lines[line].session = nil }
            resolve(resolutions, &state, &effects)
            goOn(line, told: effects.told.count, at: now, &state, &effects)
        }
        if case .success = outcome, !isAnnounced { announcer.announce(segment.runs.lazy.map(\.stream)) }
        if needsReconnect { session.close() }
    }

    /// After an answer: the next segment leaves, or waits a moment for those who are about to be told.
    private func goOn(
        _ line: Int,
        told: Int,
        at now: ContinuousClock.Instant,
        _ state: inout State,
        _ effects: inout Effects
    ) {
        let duration = now - state.lines[line].sentAt
        if state.lines[line].isFree, state.gathering.answered(told, on: line, after: duration, at: now) {
            effects.timers.append(line)
        } else {
            depart(line, &state, &effects)
        }
    }

    private func pause(_ line: Int, _ state: inout State, _ effects: inout Effects) {
        state.lines[line].pause.failed()
        state.lines[line].pausedUntil = .now + state.lines[line].pause.delay
        effects.timers.append(line)
    }

    // MARK: The connections

    private func handle(_ event: Link.Event, on line: Int) -> Bool {
        switch event {
        case .ready(let session, let greeting):
            if !greeting.isBehindPooler { prepare(session) }
            perform { state, effects in
                state.lines[line].session = session
                state.lines[line].segmentID = nil
                state.lastError = nil
                depart(line, &state, &effects)
                effects.timers.append(line)
            }
            return true
        case .lost(let error):
            perform { state, effects in
                state.lines[line].session = nil
                state.lastError = error
                // What it had under way can go with another.
                state.gathering.stop(line)
                for other in state.lines.indices { depart(other, &state, &effects) }
            }
            expire(line)
            return state.withLock { state in
                state.lines[line].isStarted = !state.queue.isEmpty
                return state.lines[line].isStarted
            }
        case .timer:
            expire(line)
            perform { state, effects in
                let now = ContinuousClock.now
                state.gathering.expire(line, at: now)
                if let until = state.lines[line].pausedUntil, until <= now { state.lines[line].pausedUntil = nil }
                if state.gathering.end(of: line) == nil { depart(line, &state, &effects) }
                effects.timers.append(line)
            }
            return true
        case .notice(let notice):
            if notice.sqlState == "01000", notice.message.contains("synchronous") {
                logger.critical(
                    "the server acknowledged a commit that its synchronous standby may not have",
                    metadata: ["warning": "\(notice.message)"]
                )
            }
            return true
        case .notification:
            return true
        }
    }

    /// What only a session of our own can be told once for all its transactions; a pooler would hand it to others.
    private func prepare(_ session: Session) {
        session.submit([Batch([(statements.appendSettings, Parameters())]) { _ in }])
    }

    private func expire(_ line: Int) {
        var abandoned: [Int] = []
        perform { state, effects in
            guard let timer = state.deadlineTimer, timer <= .now else { return }
            let reason =
                state.lastError ?? JournalError(.unreachable, "the server did not answer within \(deadline)")
            let expired = state.queue.expire(at: .now, because: reason)
            state.deadlineTimer = state.queue.firstDeadline
            for segment in expired.abandoned {
                guard let line = state.lines.firstIndex(where: { $0.segmentID == segment.id }) else { continue }
                state.lines[line].session = nil
                state.lines[line].segmentID = nil
                abandoned.append(line)
            }
            resolve(expired.resolutions, &state, &effects)
        }
        // Their answers may come yet: better never, on connections that are not what they seem.
        for line in abandoned { link(line).reset() }
    }

    /// The first connection's timer looks after the deadlines, each one's after its own pauses and gatherings.
    private func setTimer(_ line: Int) {
        // Under the lock: set after another thread's, an older time would take its place.
        state.withLock { state in
            let times = [
                state.lines[line].pausedUntil, state.gathering.end(of: line), line == 0 ? state.deadlineTimer : nil,
            ]
            link(line).setTimer(at: times.compactMap { $0 }.min())
        }
    }
}

/// Ties a caller's cancellation to its append, whichever comes first.
private final class Ticket: Sendable {
    /// 0: not accepted yet; -1: cancelled before it was.
    private let id = Atomic<Int>(0)

    /// Takes the id it was accepted under; false where it had been cancelled.
    func accept(_ id: Int) -> Bool {
        self.id.compareExchange(expected: 0, desired: id, ordering: .acquiringAndReleasing).exchanged
    }

    /// The id to cancel; nil where it has not been accepted, and will not be.
    func cancel() -> Int? {
        let (exchanged, id) = id.compareExchange(expected: 0, desired: -1, ordering: .acquiringAndReleasing)
        return exchanged || id < 0 ? nil : id
    }
}

extension JournalError {
    fileprivate static var cancelledUnsent: JournalError {
        JournalError(.cancelled, outcome: .notWritten, "the task was cancelled")
    }
}
