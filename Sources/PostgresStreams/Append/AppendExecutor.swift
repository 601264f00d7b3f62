import LibPQ
import Synchronization

/// Runs tasks on the thread of a connection that appends: see `Journal.taskExecutor`.
final class AppendExecutor: TaskExecutor {
    private let session = Mutex<Session?>(nil)

    /// From here on tasks run on this session's thread; with none, on the global executor.
    func use(_ session: Session?) { self.session.withLock { $0 = session } }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // Its end may not have been told yet.
        guard session.withLock({ $0 })?.enqueue(job, on: asUnownedTaskExecutor()) != true else { return }
        globalConcurrentExecutor.enqueue(ExecutorJob(job))
    }
}
