import Synchronization

/// The password for one attempt to connect, asked of whoever gives one for each.
///
/// It may be asked of a service, and take its time; the session's thread has timers to ring, and may be closed meanwhile.
final class PasswordRequest: Sendable {
    typealias Provider = @Sendable () async throws -> String

    private let state = Mutex<Result<String, any Error>?>(nil)
    private let task = Mutex<Task<Void, Never>?>(nil)

    /// - Parameter wake: called behind the answer, on whatever thread it came.
    init(to provider: @escaping Provider, wake: @escaping @Sendable () -> Void) {
        // Of its own: a thread is no task that could be its parent. Who waits for it cancels it.
        let asking = Task { [self] in
            let answer: Result<String, any Error>
            do { answer = .success(try await provider()) } catch { answer = .failure(error) }
            state.withLock { $0 = answer }
            wake()
        }
        task.withLock { $0 = asking }
    }

    /// Nil until it is there.
    var answer: Result<String, any Error>? { state.withLock { $0 } }

    /// Nobody waits for it any more.
    func cancel() { task.withLock { $0?.cancel() } }
}
