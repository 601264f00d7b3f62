import Synchronization

/// The password for one attempt to connect, asked of whoever gives one for each.
///
/// It may be asked of a service, and take its time; the session's thread has timers to ring, and may be closed meanwhile.
final class PasswordRequest: Sendable {
    private struct State {
        var answer: Result<String, any Error>?
        /// Nil where nobody waits: who does not heed that it is cancelled keeps nothing of ours.
        var wake: (@Sendable () -> Void)?
        var task: Task<Void, Never>?
    }

    private let state: Mutex<State>

    /// - Parameter wake: called behind the answer, on whatever thread it came.
    init(
        to provider: @escaping SessionOptions.PasswordProvider,
        for logIn: LogInTarget,
        wake: @escaping @Sendable () -> Void
    ) {
        state = Mutex(State(wake: wake))
        // Of its own: a thread is no task that could be its parent. Who waits for it cancels it.
        let task = Task { [self] in
            let answer: Result<String, any Error>
            do { answer = .success(try await provider(logIn)) } catch { answer = .failure(error) }
            let wake = state.withLock { state in
                state.answer = answer
                return state.wake
            }
            wake?()
        }
        state.withLock { $0.task = task }
    }

    /// Nil until it is there.
    var answer: Result<String, any Error>? { state.withLock { $0.answer } }

    /// Nobody waits for it any more.
    func cancel() {
        let task = state.withLock { state in
            state.wake = nil
            return state.task
        }
        task?.cancel()
    }
}
