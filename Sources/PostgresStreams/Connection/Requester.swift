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

    private let state = Mutex(RequesterState())
    private let link: Mutex<Link?>
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
                    state.withLock { $0.addOpener(until: deadline) { opener.set($0) } }
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
        let isOpen = state.withLock { state in
            state.add(
                Request(
                    commands: commands,
                    deadline: deadline,
                    waitsForLock: waitsForLock,
                    finalStates: finalStates,
                    completion: completion
                ),
                ticket
            )
        }
        guard isOpen else { return completion(.failure(.closed)) }
        sendWaiting()
        setTimer()
        connection?.start()
    }

    /// Nobody waits for its answer any more.
    func withdraw(_ ticket: Ticket) {
        guard let id = ticket.cancel() else { return }
        state.withLock { $0.withdraw(id) }
    }

    /// Calls `ring` on the connection's thread when the time has come, or when the connection is lost before.
    func setAlarm(at time: ContinuousClock.Instant, _ ring: @escaping @Sendable () -> Void) {
        state.withLock { $0.setAlarm(at: time, ring) }
        setTimer()
        connection?.start()
    }

    private func ringAlarms(at now: ContinuousClock.Instant?) {
        for ring in state.withLock({ $0.takeAlarms(at: now) }) { ring() }
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

    /// Which server its last connection was to (`Greeting.serverStart`); nil before the first.
    var serverStart: Int64? { state.withLock { $0.serverStart } }

    /// Makes another connection: this one's server is not what it was.
    func reconnect() { connection?.reset() }

    func close() {
        let abandoned = state.withLock { $0.close() }
        for request in abandoned {
            request.completion(.failure(.closed))
        }
        connection?.close()
    }

    // MARK: Sending and answers

    private func sendWaiting() {
        guard let (session, requests) = state.withLock({ $0.takeTurn(statements, at: .now) }) else { return }
        session.submit(
            requests.map { request in
                Batch(request.commands) { [self] in answered(request.id, over: session, $0) }
            }
        )
    }

    private func answered(_ id: Int, over session: Session, _ outcome: Result<[QueryResult], BatchFailure>) {
        let (request, needsReconnect) = state.withLock { $0.answered(id, over: session, outcome, at: .now) }
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
            let openers = state.withLock { $0.connected(session, greeting) }
            for opener in openers { opener(.success(greeting)) }
            sendWaiting()
            return true
        case .lost(let error), .left(let error):
            let openers = state.withLock { $0.lost(error) }
            for opener in openers { opener(.failure(error)) }
            ringAlarms(at: nil)
            expire()
            return state.withLock { $0.isNeeded }
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
        let expired = state.withLock { $0.expire(at: .now) }
        let error = expired.reason ?? JournalError(.unreachable, "no answer from \(target) in time")
        for opener in expired.openers { opener(.failure(error)) }
        for request in expired.requests {
            let refusal = request.refusal.map { message in
                JournalError.refusedUntilDeadline(message, by: target, ofHeldStream: request.waitsForLock)
            }
            request.completion(.failure(refusal ?? error))
        }
        if expired.isSilent { connection?.reset() }
    }

    private func setTimer() {
        // Under the lock: set after another thread's, an older time would take its place, and nothing would ever expire.
        state.withLock { state in connection?.setTimer(at: state.nextTime) }
    }
}
