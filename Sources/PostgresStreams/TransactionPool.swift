import DequeModule
import LibPQ
import Synchronization

/// The connections of the caller's transactions: one for each that runs, kept for the next, up to a limit.
final class TransactionPool: Sendable {
    private typealias Turn = Once<Result<Conversation?, JournalError>>

    private struct State {
        var idle: [Conversation] = []
        /// Connections there are, lent out ones and those being made included.
        var count = 0
        var waiting: Deque<Turn> = []
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
    func take(within timeout: Duration) async throws(JournalError) -> Conversation {
        let turn = Turn()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                turn.onValue { continuation.resume(returning: $0) }
                let now: Result<Conversation?, JournalError>? = state.withLock { state in
                    if state.isClosed { return .failure(JournalError(.closed, "the journal was closed")) }
                    if let idle = state.idle.popLast() { return .success(idle) }
                    if state.count < limit {
                        state.count += 1
                        return .success(nil)
                    }
                    state.waiting.append(turn)
                    return nil
                }
                // Cancelled before: what it was given goes to another.
                if let now, !turn.set(now), case .success(let conversation) = now { giveBack(conversation) }
            }
        } onCancel: {
            turn.set(.failure(JournalError(.cancelled, outcome: .notWritten, "the task was cancelled")))
        }
        if let conversation = try result.get() { return conversation }
        do throws(JournalError) {
            return try await Conversation.open(options, within: timeout)
        } catch {
            giveBack(nil)
            throw error
        }
    }

    /// - Parameter conversation: nil where it is of no more use.
    func giveBack(_ conversation: Conversation?) {
        let isKept: Bool = state.withLock { state in
            // To the first that still waits; one that was cancelled passes it on.
            while !state.isClosed, let turn = state.waiting.popFirst() {
                if turn.set(.success(conversation)) { return true }
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
        for turn in waiting { turn.set(.failure(JournalError(.closed, "the journal was closed"))) }
    }
}
