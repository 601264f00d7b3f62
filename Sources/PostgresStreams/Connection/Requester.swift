import DequeModule
import LibPQ
import Logging
import Synchronization

/// Sends statements that may be repeated, and repeats them until they are answered: at once over a lost connection; after a
/// pause that grows where the server refused them for a reason that passes, or lost its connection over them again.
///
/// Reads, claims and resolutions go through it, many at a time over one connection. What is not repeatable, appends, goes
/// through `Appender`.
final class Requester: Sendable {
    typealias Completion = @Sendable (Result<QueryResult, JournalError>) -> Void

    private struct State {
        var waiting: Deque<Request> = []
        var underWay: [Int: Request] = [:]
        var resting: [Request] = []
        var session: Session?
        var connectionNumber = 0
        var isOnStandby = false
        var isBehindPooler = false
        var nextID = 0
        var isClosed = false
        var lastError: JournalError?
        /// The connection was lost, or could not be made, while something was to be asked; and is not there again.
        var isCutOff = false
        /// Called once the next session is ready, or cannot be.
        var openers: [@Sendable (Result<Greeting, JournalError>) -> Void] = []
        var openDeadline: ContinuousClock.Instant?
        var alarms: [Alarm] = []
        /// Since when the connection owes an answer: the last one, or when it was given the first thing after it had none.
        var silentSince = ContinuousClock.now

        /// To where it was, behind those that came before it.
        mutating func putBack(_ request: Request) {
            let index = waiting.firstIndex { $0.turn > request.turn } ?? waiting.endIndex
            waiting.insert(request, at: index)
        }

        /// - Parameter refusal: nil: the connection was lost over it.
        mutating func rest(_ request: Request, because refusal: ServerMessage? = nil) {
            var request = request
            let isHeld = refusal?.sqlState == SQLState.lockNotAvailable && request.waitsForLock
            // Then it comes behind all that wait until now. Before them, it would be back as soon as there is another
            // connection; and a few whose streams are held would keep all places to themselves.
            if refusal == nil || isHeld {
                nextID += 1
                request.turn = nextID
            }
            request.refusal = refusal
            request.pause.failed()
            var delay = request.pause.delay
            // Most of the time it waits in the server, where it has its turn; nothing is won by being away from there.
            if isHeld { delay = min(delay, .milliseconds(100)) }
            request.restsUntil = .now + delay
            resting.append(request)
        }

        mutating func endRests(at now: ContinuousClock.Instant) {
            for request in resting where request.mayBeSent(at: now) { putBack(request) }
            resting.removeAll { $0.mayBeSent(at: now) }
        }

        /// How many wait for locks, those that rest for a moment included.
        var lockWaiterCount: Int {
            func waits(_ request: Request) -> Bool { request.waitsForLock && !request.isWithdrawn }
            return waiting.count(where: waits) + underWay.values.count(where: waits) + resting.count(where: waits)
        }

        /// When the connection is taken for dead, where nothing is answered until then.
        ///
        /// One that answers is none the worse for having more to do than there is time for: to end it would cost all
        /// others their answers, and the time to connect, and there would be more to do still. A deadline that passes on a
        /// dead one says so the sooner the shorter it is: those behind it, with longer deadlines or none, such as tails',
        /// wait no longer than that for a new connection. That nothing was answered counts from when something was owed.
        var silenceEnd: ContinuousClock.Instant? {
            underWay.values.lazy.filter(\.isOverdue).map { silentSince + $0.longestSilence }.min()
        }
    }

    private struct Alarm {
        var time: ContinuousClock.Instant
        var ring: @Sendable () -> Void
    }

    private let state = Mutex(State())
    private let link: Mutex<Link?>
    /// More would queue in the server's socket, where they cannot be given up.
    private static let maximumUnderWay = 8

    /// Where it connects to, for messages.
    private let target: String
    private let statements: Statements

    init(_ options: Link.Options) {
        target = options.session.target
        statements = options.statements
        link = Mutex(nil)
        let link = Link(options) { [weak self] event in self?.handle(event) ?? false }
        self.link.withLock { $0 = link }
    }

    deinit { link.withLock { $0?.close() } }

    private var connection: Link? { link.withLock { $0 } }

    /// Connects now rather than at the first request, and says how that went.
    ///
    /// - Throws: why there is no session, after `timeout` or at once where trying again is useless.
    func open(within timeout: Duration) async throws(JournalError) -> Greeting {
        let deadline = ContinuousClock.now + timeout
        while true {
            let opener = Once<Result<Greeting, JournalError>>()
            let outcome = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    opener.onValue { continuation.resume(returning: $0) }
                    state.withLock { state in
                        state.openers.append { opener.set($0) }
                        state.openDeadline = deadline
                    }
                    setTimer()
                    connection?.start()
                }
            } onCancel: {
                opener.set(.failure(.cancelled))
            }
            switch outcome {
            case .success(let greeting): return greeting
            case .failure(let error):
                guard error.code == .unreachable, ContinuousClock.now < deadline, !Task.isCancelled else { throw error }
                // The link waits between its attempts, but not where it cannot even begin one.
                await withCheckedContinuation { continuation in
                    if !runAfter(.milliseconds(25), { continuation.resume() }) { continuation.resume() }
                }
            }
        }
    }

    /// Sends statements in one transaction and waits for the last one's answer, over lost connections, until the deadline.
    ///
    /// Cancelling the task gives up waiting, and what was not sent is not sent any more. What is on the wire may yet be
    /// carried out, but is not repeated.
    ///
    /// - Parameters:
    ///   - finalStates: SQLSTATEs to be thrown, though they pass.
    ///   - waitsForLock: it waits for a stream's lock, a little at a time, see `Request.lockPatience`.
    func request(
        _ commands: [(Statement, Parameters)],
        within timeout: Duration,
        finalStates: Set<String> = [],
        waitsForLock: Bool = false
    ) async throws(JournalError) -> QueryResult {
        let once = Once<Result<QueryResult, JournalError>>()
        let ticket = Ticket()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                once.onValue { continuation.resume(returning: $0) }
                send(
                    commands,
                    deadline: .now + timeout,
                    finalStates: finalStates,
                    waitsForLock: waitsForLock,
                    ticket: ticket
                ) { once.set($0) }
            }
        } onCancel: {
            withdraw(ticket)
            once.set(.failure(.cancelled))
        }
        return try result.get()
    }

    /// The same with a callback, on the connection's thread. Without a deadline it fails only when the server refuses or
    /// the journal is closed.
    func send(
        _ statement: Statement,
        _ parameters: Parameters,
        deadline: ContinuousClock.Instant? = nil,
        completion: @escaping Completion
    ) {
        send([(statement, parameters)], deadline: deadline, completion: completion)
    }

    /// The same with several statements in one transaction; the answer is the last one's.
    ///
    /// - Parameter ticket: where that was cancelled, nothing is sent and nobody is told.
    func send(
        _ commands: [(Statement, Parameters)],
        deadline: ContinuousClock.Instant? = nil,
        finalStates: Set<String> = [],
        waitsForLock: Bool = false,
        ticket: Ticket? = nil,
        completion: @escaping Completion
    ) {
        let isClosed: Bool = state.withLock { state in
            guard !state.isClosed else { return true }
            state.nextID += 1
            guard ticket?.accept(state.nextID) ?? true else { return false }
            state.waiting.append(
                Request(
                    id: state.nextID,
                    turn: state.nextID,
                    commands: commands,
                    deadline: deadline,
                    waitsForLock: waitsForLock,
                    finalStates: finalStates,
                    completion: completion
                )
            )
            return false
        }
        guard !isClosed else { return completion(.failure(.closed)) }
        sendWaiting()
        setTimer()
        connection?.start()
    }

    /// Nobody waits for its answer any more.
    func withdraw(_ ticket: Ticket) {
        guard let id = ticket.cancel() else { return }
        state.withLock { state in
            state.waiting.removeAll { $0.id == id }
            state.resting.removeAll { $0.id == id }
            state.underWay[id]?.isWithdrawn = true
        }
    }

    /// Calls `ring` on the connection's thread when the time has come, or when the connection is lost before.
    func setAlarm(at time: ContinuousClock.Instant, _ ring: @escaping @Sendable () -> Void) {
        state.withLock { $0.alarms.append(Alarm(time: time, ring: ring)) }
        setTimer()
        connection?.start()
    }

    private func ringAlarms(at now: ContinuousClock.Instant?) {
        let due: [Alarm] = state.withLock { state in
            let due = state.alarms.filter { alarm in now.map { alarm.time <= $0 } ?? true }
            state.alarms.removeAll { alarm in now.map { alarm.time <= $0 } ?? true }
            return due
        }
        for alarm in due { alarm.ring() }
    }

    /// Counts the connections it has had: answers may come from another server once it rises.
    var connectionNumber: Int { state.withLock { $0.connectionNumber } }

    var isConnected: Bool { state.withLock { $0.session != nil } }

    /// Whether there is no connection though there was something to ask, and the last attempt to make one failed.
    var isCutOff: Bool { state.withLock { $0.isCutOff } }

    /// Whether its last connection was to a standby.
    var isOnStandby: Bool { state.withLock { $0.isOnStandby } }

    /// Whether its last connection was to a pooler, which may go over to another server and tell nobody.
    var isBehindPooler: Bool { state.withLock { $0.isBehindPooler } }

    func close() {
        let abandoned: [Request] = state.withLock { state in
            state.isClosed = true
            defer { (state.waiting, state.underWay, state.resting) = ([], [:], []) }
            return Array(state.waiting) + state.underWay.values + state.resting
        }
        for request in abandoned {
            request.completion(.failure(.closed))
        }
        connection?.close()
    }

    // MARK: Sending and answers

    private func sendWaiting() {
        let (session, requests): (Session?, [Request]) = state.withLock { state in
            guard let session = state.session else { return (nil, []) }
            var requests: [Request] = []
            let now = ContinuousClock.now
            // Behind a pooler the session would keep what is not its turn yet.
            let most = state.isBehindPooler ? 1 : Self.maximumUnderWay
            while state.underWay.count < most, var request = state.waiting.popFirst() {
                if state.underWay.isEmpty { state.silentSince = now }
                state.underWay[request.id] = request
                if request.waitsForLock {
                    let patience = request.lockPatience(among: state.lockWaiterCount, at: now)
                    request.commands.insert(statements.waiting(atMost: patience), at: 0)
                }
                requests.append(request)
            }
            return (session, requests)
        }
        guard let session, !requests.isEmpty else { return }
        session.submit(
            requests.map { request in
                Batch(request.commands) { [self] in answered(request.id, over: session, $0) }
            }
        )
    }

    private func answered(_ id: Int, over session: Session, _ outcome: Result<[QueryResult], BatchFailure>) {
        var needsReconnect = false
        let request: Request? = state.withLock { state in
            // The session takes no more, though its end is yet to be told. The first it lost is what the server was at.
            var wasAtIt = false
            if case .failure(.connectionLost(_, let wasSent)) = outcome, state.session === session {
                state.session = nil
                wasAtIt = wasSent
            }
            state.silentSince = .now
            guard var request = state.underWay.removeValue(forKey: id) else { return nil }
            guard !request.isWithdrawn else { return request }
            // Lost: it goes back where it was, to the front, behind those lost with it that came before. One that may be why
            // rests, so that the others are answered meanwhile.
            if case .failure(.connectionLost) = outcome {
                if wasAtIt { request.losses += 1 }
                if wasAtIt, request.losses > 1 { state.rest(request) } else { state.putBack(request) }
                return nil
            }
            guard case .failure(.refused(let message)) = outcome, !request.finalStates.contains(message.sqlState) else {
                return request
            }
            needsReconnect = SQLState.needsReconnect(message.sqlState)
            guard needsReconnect || SQLState.isWorthRetrying(message.sqlState) else { return request }
            if needsReconnect, state.session === session { state.session = nil }
            state.rest(request, because: message)
            return nil
        }
        if needsReconnect { session.close() }
        sendWaiting()
        guard let request else { return setTimer() }
        switch outcome {
        case .success(let results):
            request.completion(
                results.last.map(Result.success)
                    ?? .failure(JournalError(.refused, "the server gave no answer"))
            )
        case .failure(.refused(let message)): request.completion(.failure(JournalError(ofOurs: message, outcome: nil)))
        case .failure(.connectionLost(let failure, _)): request.completion(.failure(JournalError(failure)))
        }
    }

    // MARK: The connection

    private func handle(_ event: Link.Event) -> Bool {
        switch event {
        case .ready(let session, let greeting):
            let openers = state.withLock { state in
                state.session = session
                state.connectionNumber += 1
                state.isOnStandby = greeting.isInRecovery
                state.isBehindPooler = greeting.isBehindPooler
                state.lastError = nil
                state.isCutOff = false
                defer { state.openers = [] }
                return state.openers
            }
            for opener in openers { opener(.success(greeting)) }
            sendWaiting()
            return true
        case .lost(let error), .left(let error):
            let openers = state.withLock { state in
                state.session = nil
                state.lastError = error
                state.isCutOff = !state.waiting.isEmpty || !state.underWay.isEmpty || !state.resting.isEmpty
                defer { state.openers = [] }
                return state.openers
            }
            for opener in openers { opener(.failure(error)) }
            ringAlarms(at: nil)
            expire()
            return state.withLock { !$0.waiting.isEmpty || !$0.resting.isEmpty || !$0.openers.isEmpty }
        case .timer:
            ringAlarms(at: .now)
            expire()
            state.withLock { $0.endRests(at: .now) }
            sendWaiting()
            setTimer()
            return true
        case .notification:
            return true
        }
    }

    /// Fails what has waited too long. What is on the wire stays there: it may be answered yet, for nobody.
    private func expire() {
        let now = ContinuousClock.now
        struct Expired {
            var requests: [Request]
            var openers: [@Sendable (Result<Greeting, JournalError>) -> Void]
            var error: JournalError
            var isSilent: Bool
        }
        let expired: Expired = state.withLock { state in
            func isOver(_ request: Request) -> Bool { request.deadline.map { $0 <= now } ?? false }
            let overdue = state.underWay.values.filter { isOver($0) && !$0.isOverdue }
            for request in overdue {
                state.underWay[request.id]?.isWithdrawn = true
                state.underWay[request.id]?.isOverdue = true
                state.underWay[request.id]?.completion = { _ in }
            }
            let isSilent = state.session != nil && state.silenceEnd.map { $0 <= now } ?? false
            // It is ended once.
            if isSilent { state.silentSince = now }
            let waiting = state.waiting.filter(isOver) + state.resting.filter(isOver)
            state.waiting.removeAll(where: isOver)
            state.resting.removeAll(where: isOver)
            var openers: [@Sendable (Result<Greeting, JournalError>) -> Void] = []
            if let deadline = state.openDeadline, deadline <= now { swap(&openers, &state.openers) }
            return Expired(
                requests: overdue + waiting,
                openers: openers,
                error: state.lastError ?? JournalError(.unreachable, "no answer from \(target) in time"),
                isSilent: isSilent
            )
        }
        for opener in expired.openers { opener(.failure(expired.error)) }
        for request in expired.requests {
            let refusal = request.refusal.map { message in
                JournalError.refusedUntilDeadline(message, by: target, ofHeldStream: request.waitsForLock)
            }
            request.completion(.failure(refusal ?? expired.error))
        }
        if expired.isSilent { connection?.reset() }
    }

    private func setTimer() {
        // Under the lock: set after another thread's, an older time would take its place, and nothing would ever expire.
        state.withLock { state in
            var time = Earliest()
            if !state.openers.isEmpty { time.consider(state.openDeadline) }
            for request in state.underWay.values where !request.isOverdue { time.consider(request.deadline) }
            if state.session != nil { time.consider(state.silenceEnd) }
            for request in state.waiting { time.consider(request.deadline) }
            for request in state.resting {
                time.consider(request.deadline)
                time.consider(request.restsUntil)
            }
            for alarm in state.alarms { time.consider(alarm.time) }
            connection?.setTimer(at: time.time)
        }
    }
}
