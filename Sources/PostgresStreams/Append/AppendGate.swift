import Synchronization

/// Keeps what the appends of a journal hold, in the queue and on the wire, under a limit: who comes when there is no room
/// waits here, before its events are taken. Used by `Journal`, in front of `Appender`.
final class AppendGate: Sendable {
    /// What one was let in with; it leaves with it.
    struct Pass: Sendable {
        fileprivate var id: Int
        fileprivate var byteCount: Int
        fileprivate var admittedAt: ContinuousClock.Instant
        /// When it began to wait for room.
        fileprivate(set) var cameAt: ContinuousClock.Instant
    }

    private typealias Waiter = CheckedContinuation<Result<Int, JournalError>, Never>

    private struct State {
        var queue: AdmissionQueue
        var isClosed = false
        private var waiters: [Int: Waiter] = [:]
        /// Those that came and have neither left nor failed here.
        private var count = 0
        private var lastID = 0
        private var flushers = Flushers()
        /// To be resumed outside the lock.
        private var told: [(Waiter, Result<Int, JournalError>)] = []
        private var flushed: [CheckedContinuation<Void, Never>] = []

        init(queue: AdmissionQueue) { self.queue = queue }

        mutating func came(_ id: Int) { (lastID, count) = (id, count + 1) }

        mutating func wait(_ id: Int, _ waiter: Waiter) {
            came(id)
            waiters[id] = waiter
        }

        mutating func admit(_ ids: [Int]) {
            for id in ids { if let waiter = waiters.removeValue(forKey: id) { told.append((waiter, .success(id))) } }
        }

        mutating func fail(_ ids: [Int], _ error: JournalError) {
            for id in ids {
                if let waiter = waiters.removeValue(forKey: id) { told.append((waiter, .failure(error))) }
                left(id)
            }
        }

        mutating func left(_ id: Int) {
            count -= 1
            flushed += flushers.through(id)
        }

        /// False where there is nobody to wait for.
        mutating func flush(_ done: CheckedContinuation<Void, Never>) -> Bool {
            guard count > 0 else { return false }
            flushers.wait(for: count, upTo: lastID, done)
            return true
        }

        mutating func takeEffects() -> (
            told: [(Waiter, Result<Int, JournalError>)], flushed: [CheckedContinuation<Void, Never>]
        ) {
            defer { (told, flushed) = ([], []) }
            return (told, flushed)
        }
    }

    private let state: Mutex<State>
    /// How long an append is tried.
    private let deadline: Duration
    private let metrics: JournalMetrics

    init(limit: Int, deadline: Duration, metrics: JournalMetrics) {
        state = Mutex(State(queue: AdmissionQueue(limit: limit)))
        self.deadline = deadline
        self.metrics = metrics
    }

    // MARK: For the journal

    /// Lets in where there is room and nobody waits; nil where one has to `wait`.
    func enter(_ byteCount: Int) throws(JournalError) -> Pass? {
        let now = ContinuousClock.now
        let result: Result<Pass?, JournalError> = state.withLock { state in
            guard !state.isClosed else { return .failure(.closedUnsent) }
            guard let id = state.queue.enterAtOnce(byteCount) else { return .success(nil) }
            state.came(id)
            return .success(Pass(id: id, byteCount: byteCount, admittedAt: now, cameAt: now))
        }
        let pass = try result.get()
        if pass != nil { metrics.queued(byteCount) }
        return pass
    }

    /// Returns when there is room.
    ///
    /// Waiting has no deadline while appends get through. Where they fail because theirs passed, whoever has waited as
    /// long fails with them.
    func wait(_ byteCount: Int) async throws(JournalError) -> Pass {
        let ticket = Ticket()
        let cameAt = ContinuousClock.now
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (waiter: Waiter) in wait(waiter, byteCount, ticket) }
        } onCancel: {
            guard let id = ticket.cancel() else { return }
            withdraw(id)
        }
        let id = try result.get()
        metrics.queued(byteCount)
        return Pass(id: id, byteCount: byteCount, admittedAt: .now, cameAt: cameAt)
    }

    /// The events are no longer held.
    ///
    /// - Parameter error: what the append failed with.
    func leave(_ pass: Pass, because error: JournalError? = nil) {
        perform { state in
            if var error, error.code != .cancelled, .now - pass.admittedAt >= deadline {
                (error.outcome, error.receipt) = (.notWritten, nil)
                state.fail(state.queue.giveUp(waitingSince: .now - deadline), error)
            }
            state.admit(state.queue.leave(pass.byteCount))
            state.left(pass.id)
        }
        metrics.left(pass.byteCount)
    }

    /// Returns when all that came before has left.
    func flush() async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            let mustWait = state.withLock { $0.flush(done) }
            if !mustWait { done.resume() }
        }
    }

    /// Fails whoever comes from here on. Those that wait are still let in.
    func refuse() { state.withLock { $0.isClosed = true } }

    /// Fails who waits, and whoever comes.
    func close() {
        perform { state in
            state.isClosed = true
            state.fail(state.queue.giveUpAll(), .closedUnsent)
        }
    }

    // MARK: Under the lock

    private func wait(_ waiter: Waiter, _ byteCount: Int, _ ticket: Ticket) {
        let now: Result<Int, JournalError>? = state.withLock { state in
            guard !state.isClosed else { return .failure(.closedUnsent) }
            if let id = state.queue.enterAtOnce(byteCount) {
                state.came(id)
                return .success(id)
            }
            let id = state.queue.wait(byteCount, since: .now)
            guard ticket.accept(id) else {
                // It stands at the end: nobody is let in for it.
                _ = state.queue.withdraw(id)
                return .failure(.cancelledUnsent)
            }
            state.wait(id, waiter)
            return nil
        }
        if let now { waiter.resume(returning: now) }
    }

    private func withdraw(_ id: Int) {
        perform { state in
            // Where it was let in meanwhile, its append is cancelled as any other.
            guard let admitted = state.queue.withdraw(id) else { return }
            state.fail([id], .cancelledUnsent)
            state.admit(admitted)
        }
    }

    private func perform(_ body: (inout State) -> Void) {
        let effects = state.withLock { state in
            body(&state)
            return state.takeEffects()
        }
        for (waiter, result) in effects.told { waiter.resume(returning: result) }
        for flusher in effects.flushed { flusher.resume() }
    }
}
