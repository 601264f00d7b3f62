import Synchronization

/// Jobs of Swift tasks that a session's thread runs between what it does itself.
final class JobQueue: Sendable {
    struct Job: Sendable {
        let job: UnownedJob
        let executor: UnownedTaskExecutor

        func run() { job.runSynchronously(on: executor) }
    }

    enum Outcome {
        /// It is the first: the thread may be asleep.
        case first
        case behindOthers
        /// The thread is gone.
        case refused
    }

    private struct State {
        var jobs: [Job] = []
        var isEnded = false
    }

    private let state = Mutex(State())

    var isEmpty: Bool { state.withLock { $0.jobs.isEmpty } }

    func add(_ job: Job) -> Outcome {
        state.withLock { state in
            guard !state.isEnded else { return .refused }
            state.jobs.append(job)
            return state.jobs.count == 1 ? .first : .behindOthers
        }
    }

    /// What is there now: each of them may add more.
    func take() -> [Job] {
        state.withLock { state in
            guard !state.jobs.isEmpty else { return [] }
            defer { state.jobs = [] }
            return state.jobs
        }
    }

    /// What is there, and nothing more from now on.
    func end() -> [Job] {
        state.withLock { state in
            defer { state = State(isEnded: true) }
            return state.jobs
        }
    }
}
