import Foundation
import PostgresStreams
import Synchronization
import Testing
import TisynStreams

/// Tasks on the thread that takes the answers to appends.
@Suite("A journal's task executor", .timeLimit(.minutes(10)))
struct TaskExecutorTests {
    private final class Flag: Sendable {
        let isSet = Atomic<Bool>(false)
    }

    private static func event(_ number: Int) -> DurableEvent { .close(CoroutineID("\(number)"), .ok(nil)) }

    /// Of a synchronous call: what an asynchronous function asks could be out of date.
    private static func thread() -> UInt {
        #if canImport(Darwin)
            UInt(bitPattern: pthread_self())
        #else
            UInt(pthread_self())
        #endif
    }

    @Test("runs tasks that append on one thread, child tasks too, and leaves others where they are")
    func oneThread() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                // Makes the connection.
                try await journal.stream("first").append(Self.event(0))
                let threads = try await withTaskExecutorPreference(journal.taskExecutor) {
                    try await withThrowingTaskGroup(of: Set<UInt>.self) { group in
                        for writer in 0..<16 {
                            let stream = try journal.stream("s\(writer)")
                            group.addTask {
                                var threads: Set<UInt> = []
                                for number in 0..<20 {
                                    let position = try await stream.append(Self.event(number))
                                    #expect(position == number)
                                    threads.insert(Self.thread())
                                }
                                return threads
                            }
                        }
                        return try await group.reduce(into: Set<UInt>()) { $0.formUnion($1) }
                    }
                }
                #expect(threads.count == 1)
                #expect(!threads.contains(Self.thread()))
            }
        }
    }

    @Test("runs tasks before the first append, and once the journal is closed")
    func withoutConnection() async throws {
        try await withTestDatabase { url in
            let journal = try await Journal.open(.quiet(url))
            let stream = try journal.stream("s")
            let executor = journal.taskExecutor
            let first = try await withTaskExecutorPreference(executor) {
                await Task.yield()
                return try await stream.append(Self.event(0))
            }
            #expect(first == 0)
            await withTaskExecutorPreference(executor) { await journal.close() }
            let error = await withTaskExecutorPreference(executor) {
                await Task.yield()
                return await thrown { try await stream.append(Self.event(1)) }
            }
            #expect(error?.code == .closed)
        }
    }

    @Test("runs tasks on while its connection is cut again and again; each append is there once")
    func cut() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                let stream = try journal.stream("s")
                let isOver = Flag()
                let count = try await withThrowingTaskGroup(of: Int.self) { group in
                    group.addTask(executorPreference: journal.taskExecutor) {
                        var count = 0
                        while !isOver.isSet.load(ordering: .relaxed) {
                            let position = try await stream.append(Self.event(count))
                            #expect(position == count)
                            count += 1
                        }
                        return count
                    }
                    // A connection each time on which an append was the last thing that was done.
                    try await withSQL(url) { sql in
                        var cuts = 0
                        while cuts < 8 {
                            cuts += try await sql.integer(
                                """
                                select count(pg_terminate_backend(pid)) from pg_stat_activity
                                where datname = current_database() and pid <> pg_backend_pid()
                                    and query ~ 'append|appends|pg_notify'
                                """
                            )
                            try await Task.sleep(for: .milliseconds(50))
                        }
                    }
                    isOver.isSet.store(true, ordering: .relaxed)
                    return try await group.reduce(0, +)
                }
                let events = try await stream.readAll()
                #expect(events == (0..<count).map(Self.event))
            }
        }
    }

    @Test("a task that is always busy there keeps nobody from being answered")
    func busy() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                let stream = try journal.stream("s")
                try await stream.append(Self.event(0))
                let busy = Task(executorPreference: journal.taskExecutor) {
                    while !Task.isCancelled { await Task.yield() }
                }
                for number in 1..<50 {
                    let position = try await stream.append(Self.event(number))
                    #expect(position == number)
                }
                busy.cancel()
                await busy.value
            }
        }
    }

    /// Its answers are not taken meanwhile: what was under way waits, the rest goes over another connection.
    @Test("a task that blocks the thread: what was acknowledged is there, and each once")
    func blocked() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                let isOver = Flag()
                let streams = try (0..<4).map { try journal.stream("s\($0)") }
                for stream in streams { try await stream.append(Self.event(0)) }
                let writers = streams.enumerated().map { index, stream in
                    Task {
                        var count = 1
                        // One comes when the others are held up already: it makes another connection needed.
                        if index == 0 { try? await Task.sleep(for: .milliseconds(500)) }
                        let error: JournalError?
                        do throws(JournalError) {
                            while !isOver.isSet.load(ordering: .relaxed) {
                                try await stream.append(Self.event(count))
                                count += 1
                            }
                            error = nil
                        } catch let failure {
                            error = failure
                        }
                        return (count, error)
                    }
                }
                await Task(executorPreference: journal.taskExecutor) { Self.block(for: 4) }.value
                isOver.isSet.store(true, ordering: .relaxed)
                for (stream, writer) in zip(streams, writers) {
                    let (count, error) = await writer.value
                    #expect(error == nil || error?.outcome == .unknown)
                    let events = try await stream.readAll()
                    #expect(events.prefix(count).elementsEqual((0..<count).map(Self.event)))
                    #expect(events.count == count || error != nil && events.count == count + 1)
                }
            }
        }
    }

    private static func block(for seconds: TimeInterval) { Thread.sleep(forTimeInterval: seconds) }

    @Test("tasks that append there while the journal is closed end, none with an append that is lost")
    func closing() async throws {
        try await withTestDatabase { url in
            let journal = try await Journal.open(.quiet(url))
            let writers = try (0..<8).map { writer in
                let stream = try journal.stream("s\(writer)")
                return Task(executorPreference: journal.taskExecutor) {
                    var count = 0
                    let error = await thrown {
                        while true {
                            try await stream.append(Self.event(count))
                            count += 1
                        }
                    }
                    return (count, error)
                }
            }
            while try await journal.stream("s0").nextPosition() < 5 {}
            await journal.close()
            try await withJournal(.quiet(url)) { other in
                for (writer, task) in writers.enumerated() {
                    let (count, error) = await task.value
                    #expect(error?.code == .closed || error?.outcome == .unknown)
                    let next = try await other.stream("s\(writer)").nextPosition()
                    #expect(next == count || error?.outcome == .unknown && next == count + 1)
                }
            }
        }
    }
}
