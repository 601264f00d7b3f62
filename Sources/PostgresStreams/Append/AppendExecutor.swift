import LibPQ
import Synchronization

/// Runs tasks on the thread of a connection that appends: see `Journal.taskExecutor`.
final class AppendExecutor: TaskExecutor {
    private struct State {
        var session: Session?
        var isClosed = false
    }

    private let state = Mutex(State())

    /// From here on tasks run on this session's thread; with none, on the global executor.
    func use(_ session: Session?) { state.withLock { $0.session = $0.isClosed ? nil : session } }

    /// From here on tasks run on the global executor: who keeps this keeps no session.
    func close() { state.withLock { $0 = State(isClosed: true) } }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // Its end may not have been told yet.
        guard state.withLock({ $0.session })?.enqueue(job, on: asUnownedTaskExecutor()) != true else { return }
        globalConcurrentExecutor.enqueue(ExecutorJob(job))
    }
}
