import DequeModule
import Dispatch
import LibPQ
import Synchronization

/// The connections of the caller's transactions: one for each that runs, kept for the next, up to a limit.
final class TransactionPool: Sendable {
    private typealias Turn = Once<Result<Conversation?, JournalError>>

    private struct Waiter {
        var turn: Turn
        var deadline: ContinuousClock.Instant
    }

    private struct State {
        var idle: [Conversation] = []
        /// Connections there are, lent out ones and those being made included.
        var count = 0
        var waiting: Deque<Waiter> = []
        /// Somebody will look whose deadline has passed.
        var isTimed = false
        var isClosed = false
    }

    private let state = Mutex(State())
    private let options: SessionOptions
    private let limit: Int

    init(_ options: SessionOptions, limit: Int) {
        self.options = options
        self.limit = limit
    }

    deinit { close() }

    /// A connection for one transaction, once there is one to spare. Give it back.
    ///
    /// - Throws: `unreachable` where there was none in time: for want of a server, or since others had them all.
    func take(within timeout: Duration) async throws(JournalError) -> Conversation {
        let turn = Turn()
        let deadline = ContinuousClock.now + timeout
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                turn.onValue { continuation.resume(returning: $0) }
                let now: Result<Conversation?, JournalError>? = state.withLock { state in
                    if state.isClosed { return .failure(.closed) }
                    if let idle = state.idle.popLast() { return .success(idle) }
                    if state.count < limit {
                        state.count += 1
                        return .success(nil)
                    }
                    state.waiting.append(Waiter(turn: turn, deadline: deadline))
                    return nil
                }
                // Cancelled before: what it was given goes to another.
                if let now, !turn.set(now), case .success(let conversation) = now { giveBack(conversation) }
                if now == nil { setTimer() }
            }
        } onCancel: {
            turn.set(.failure(.cancelledUnsent))
        }
        if let conversation = try result.get() { return conversation }
        do throws(JournalError) {
            let conversation = try await Conversation.open(options, within: max(.zero, deadline - .now))
            guard !state.withLock({ $0.isClosed }) else {
                conversation.close()
                throw .closed
            }
            return conversation
        } catch {
            giveBack(nil)
            throw error
        }
    }

    /// - Parameter conversation: nil where it is of no more use.
    func giveBack(_ conversation: Conversation?) {
        let isKept: Bool = state.withLock { state in
            // To the first that still waits; one that was cancelled passes it on.
            while !state.isClosed, let waiter = state.waiting.popFirst() {
                if waiter.turn.set(.success(conversation)) { return true }
            }
            guard let conversation, !state.isClosed else {
                state.count -= 1
                return false
            }
            state.idle.append(conversation)
            return true
        }
        if !isKept { conversation?.close() }
    }

    /// One for all that wait, as long as there are some.
    private func setTimer() {
        let next: ContinuousClock.Instant? = state.withLock { state in
            guard !state.isTimed, let next = state.waiting.lazy.map(\.deadline).min() else { return nil }
            state.isTimed = true
            return next
        }
        guard let next else { return }
        let pause = max(.zero, next - .now).milliseconds / 1000
        DispatchQueue.global().asyncAfter(deadline: .now() + pause) { [weak self] in self?.expire() }
    }

    private func expire() {
        let overdue: [Waiter] = state.withLock { state in
            state.isTimed = false
            let now = ContinuousClock.now
            defer { state.waiting.removeAll { $0.deadline <= now } }
            return state.waiting.filter { $0.deadline <= now }
        }
        let error = JournalError(
            .unreachable,
            outcome: .notWritten,
            "other transactions kept all \(limit) connections until the deadline: transactionConnections sets how many there "
                + "are; a transaction inside another's body waits for that one"
        )
        for waiter in overdue { waiter.turn.set(.failure(error)) }
        setTimer()
    }

    /// Lends none any more. Those lent out are closed when they come back.
    func close() {
        let (idle, waiting) = state.withLock { state in
            state.isClosed = true
            defer {
                state.idle = []
                state.waiting = []
            }
            return (state.idle, state.waiting)
        }
        for conversation in idle { conversation.close() }
        for waiter in waiting { waiter.turn.set(.failure(.closed)) }
    }
}
