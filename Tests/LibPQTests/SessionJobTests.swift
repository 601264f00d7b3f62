import Synchronization
import Testing

@testable import LibPQ

/// Swift tasks on a session's thread.
@Suite("A session's jobs", .timeLimit(.minutes(10)))
struct SessionJobTests {
    /// Tasks on this session's thread, as long as it takes them.
    private final class Executor: TaskExecutor {
        let session: Session
        let refusedCount = Atomic<Int>(0)

        init(_ session: Session) { self.session = session }

        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            guard !session.enqueue(job, on: asUnownedTaskExecutor()) else { return }
            refusedCount.add(1, ordering: .relaxed)
            globalConcurrentExecutor.enqueue(ExecutorJob(job))
        }
    }

    private func live(busyWait: Duration = .zero, after delay: Duration = .zero) async throws -> LiveSession {
        let url = try await SessionServer.shared.server().url
        return try LiveSession(SessionOptions(connectionString: url, busyWait: busyWait), after: delay)
    }

    @Test("are run on its thread, which sleeps or stays awake for an answer", arguments: [0, 3600])
    func onItsThread(busyWait: Int) async throws {
        var live = try await live(busyWait: .seconds(busyWait))
        _ = try await live.connected()
        let session = live.session
        let owner: UInt = await withCheckedContinuation { continuation in
            session.submit([
                Batch([LiveSession.Command("select 1").sent], awake: .forNextAnswer) { _ in
                    continuation.resume(returning: currentThread())
                }
            ])
        }
        let executor = Executor(session)
        let threads = await withTaskExecutorPreference(executor) {
            var threads = Set([Self.thread()])
            for number in 0..<20 {
                let answer = await Self.ask(session, "select \(number)")
                #expect(answer.integer == number)
                threads.insert(Self.thread())
                await Task.yield()
                threads.insert(Self.thread())
            }
            return threads
        }
        #expect(threads == [owner])
        #expect(executor.refusedCount.load(ordering: .relaxed) == 0)
        #expect(Self.thread() != owner)
        try await live.close()
    }

    private static func ask(_ session: Session, _ sql: String) async -> LiveSession.Outcome {
        await withCheckedContinuation { continuation in
            session.submit([Batch([LiveSession.Command(sql).sent]) { continuation.resume(returning: $0) }])
        }
    }

    @Test("that come without end keep neither answers nor the timer nor the end waiting")
    func withoutEnd() async throws {
        var live = try await live()
        _ = try await live.connected()
        let executor = Executor(live.session)
        let busy = Task(executorPreference: executor) {
            while !Task.isCancelled { await Task.yield() }
        }
        for number in 0..<20 { #expect(await live.run("select \(number)").integer == number) }
        live.session.setTimer(at: .now + .milliseconds(5))
        #expect(await live.next()?.isTimer == true)
        try await live.close()
        busy.cancel()
        await busy.value
    }

    @Test("that it cannot run before it ends, and those that come later, are run elsewhere")
    func elsewhere() async throws {
        var live = try await live(after: .seconds(3600))
        let executor = Executor(live.session)
        let early = Task(executorPreference: executor) { Self.thread() }
        // It has been given to the session, which has not begun.
        try await live.close()
        _ = await early.value
        _ = await Task(executorPreference: executor) { Self.thread() }.value
        #expect(executor.refusedCount.load(ordering: .relaxed) == 1)
    }

    /// Of a synchronous call: what an asynchronous function asks could be out of date.
    private static func thread() -> UInt { currentThread() }
}
