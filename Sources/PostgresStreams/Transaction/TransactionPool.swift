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
        /// When it will be looked whose deadline has passed.
        var alarm: ContinuousClock.Instant?
        /// Connections that are being made: what ends the attempts.
        var opening: [Int: Once<Void>] = [:]
        var lastID = 0
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
        switch await open(within: deadline - .now) {
        case .success(let conversation): return conversation
        case .failure(let error):
            giveBack(nil)
            throw error
        }
    }

    /// Also ended by `close`, as closed: where there is no server it would go on until the deadline.
    private func open(within timeout: Duration) async -> Result<Conversation, JournalError> {
        let isOver = Once<Void>()
        let id: Int? = state.withLock { state in
            state.lastID += 1
            guard !state.isClosed else { return nil }
            state.opening[state.lastID] = isOver
            return state.lastID
        }
        guard let id else { return .failure(.closed) }
        let result = await withTaskGroup(of: Result<Conversation, JournalError>?.self) { group in
            group.addTask { [options] in
                defer { isOver.set(()) }
                do throws(JournalError) {
                    return .success(try await Conversation.open(options, within: max(.zero, timeout)))
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                await isOver.value
                return nil
            }
            var result = Result<Conversation, JournalError>.failure(.closed)
            for await outcome in group {
                if let outcome { result = outcome } else { group.cancelAll() }
            }
            return result
        }
        let isClosed = state.withLock { state in
            state.opening[id] = nil
            return state.isClosed
        }
        guard isClosed else { return result }
        if case .success(let conversation) = result { conversation.close() }
        return .failure(.closed)
    }

    /// - Parameter conversation: nil where it is of no more use.
    func giveBack(_ conversation: Conversation?) {
        while true {
            let (waiter, isKept): (Waiter?, Bool) = state.withLock { state in
                guard !state.isClosed else {
                    state.count -= 1
                    return (nil, false)
                }
                if let waiter = state.waiting.popFirst() { return (waiter, true) }
                guard let conversation else {
                    state.count -= 1
                    return (nil, false)
                }
                state.idle.append(conversation)
                return (nil, true)
            }
            // To the first that still waits, outside the lock: it may go on here. One that was cancelled passes it on.
            if let waiter {
                if waiter.turn.set(.success(conversation)) { return }
            } else {
                if !isKept { conversation?.close() }
                return
            }
        }
    }

    /// One for all that wait, as long as there are some. Who comes later may have the earlier deadline.
    private func setTimer() {
        let next: ContinuousClock.Instant? = state.withLock { state in
            guard let next = state.waiting.lazy.map(\.deadline).min() else { return nil }
            guard state.alarm.map({ next < $0 }) ?? true else { return nil }
            state.alarm = next
            return next
        }
        guard let next else { return }
        let pause = max(.zero, next - .now).milliseconds / 1000
        DispatchQueue.global().asyncAfter(deadline: .now() + pause) { [weak self] in self?.ring(next) }
    }

    private func ring(_ alarm: ContinuousClock.Instant) {
        let overdue: [Waiter]? = state.withLock { state in
            // An earlier one took its place, and another was set then.
            guard state.alarm == alarm else { return nil }
            state.alarm = nil
            let now = ContinuousClock.now
            defer { state.waiting.removeAll { $0.deadline <= now } }
            return state.waiting.filter { $0.deadline <= now }
        }
        guard let overdue else { return }
        let error = JournalError(
            .unreachable,
            outcome: .notWritten,
            "other transactions kept all \(limit) connections until the deadline: transactionConnections sets how many there "
                + "are; a transaction inside another's body waits for that one"
        )
        for waiter in overdue { waiter.turn.set(.failure(error)) }
        setTimer()
    }

    /// Lends none any more, and makes none. Those lent out are closed when they come back.
    func close() {
        let (idle, waiting, opening) = state.withLock { state in
            state.isClosed = true
            defer {
                state.idle = []
                state.waiting = []
                state.opening = [:]
            }
            return (state.idle, state.waiting, Array(state.opening.values))
        }
        for conversation in idle { conversation.close() }
        for isOver in opening { isOver.set(()) }
        for waiter in waiting { waiter.turn.set(.failure(.closed)) }
    }
}
