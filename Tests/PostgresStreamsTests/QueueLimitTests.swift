import Foundation
import PostgresStreams
import Synchronization
import Testing
import TisynStreams

/// Many callers with large events: what the journal holds of them has a limit, and who comes then waits.
@Suite("A limit on what appends hold", .serialized, .timeLimit(.minutes(10)))
struct QueueLimitTests {
    fileprivate static let megabyte = 1 << 20

    private final class Count: Sendable {
        private let count = Atomic<Int>(0)

        var value: Int { count.load(ordering: .relaxed) }

        func add() { count.add(1, ordering: .relaxed) }
    }

    /// A hundredth more than a megabyte.
    fileprivate static func largeEvent(_ number: Int) throws -> DurableEvent {
        let text = String(repeating: "\(number % 10)", count: megabyte)
        return .close(CoroutineID("\(number)"), .ok(try JSONText("\"\(text)\"")))
    }

    /// Room for so many of them.
    fileprivate static func room(for count: Int) -> Int { count * (megabyte + 10_000) }

    /// A journal whose appends the server holds up until `holder` commits.
    private func withHeldServer(
        _ change: ConfigurationChange,
        _ body: (_ journal: Journal, _ holder: SQLSession) async throws -> Void
    ) async throws {
        let patient = ConfigurationChange.with { configuration in
            // However long the test takes to look.
            configuration.appendDeadline = .seconds(400)
            change.apply(&configuration)
        }
        try await withTestJournal(patient) { journal in
            try await withSQL(journal.configuration.databaseURL) { holder in
                try await holder.run("begin")
                try await holder.run("lock table durable_streams.events in exclusive mode")
                try await body(journal, holder)
            }
        }
    }

    @Test("no more events are made than there is room for, and all are appended in the end")
    func reserved() async throws {
        try await withHeldServer(.with { $0.maximumQueuedBytes = Self.room(for: 6) }) { journal, holder in
            let made = Count()
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<30 {
                    group.addTask {
                        try await journal.stream("s").append(reserving: Self.megabyte + 5000) {
                            made.add()
                            return try Self.largeEvent(number)
                        }
                    }
                }
                try await until { made.value == 6 }
                // A round trip of others: whoever were to come would have.
                for _ in 0..<100 { _ = try await journal.stream("other").nextPosition() }
                #expect(made.value == 6)
                try await holder.run("commit")
                #expect(try await group.reduce(into: []) { $0.append($1) }.sorted() == Array(0..<30))
            }
        }
    }

    @Test("who waits for room and is cancelled is gone, and the others go on")
    func cancelled() async throws {
        try await withHeldServer(.with { $0.maximumQueuedBytes = Self.room(for: 1) }) { journal, holder in
            let stream = try journal.stream("s")
            let event = try Self.largeEvent(0)
            let inside = Task { try await stream.append(event) }
            try await withSQL(journal.configuration.databaseURL) { observer in
                try await until { try await observer.seesAppendWaiting() }
            }
            let waiting = Task { await thrown { try await stream.append(event) } }
            let behind = Task { try await stream.append(.close("small", .ok(nil))) }
            waiting.cancel()
            let error = await waiting.value
            #expect(error?.code == .cancelled)
            #expect(error?.outcome == .notWritten)
            #expect(error?.receipt == nil)
            try await holder.run("commit")
            #expect(try await inside.value == 0)
            #expect(try await behind.value == 1)
        }
    }

    @available(macOS 26, *)
    @Test("flush and close wait for those who waited for room too")
    func closed() async throws {
        try await withHeldServer(.with { $0.maximumQueuedBytes = 1 }) { journal, holder in
            let stream = try journal.stream("s")
            let tasks = (0..<20).map { number in
                Task.immediate { try await stream.append(.close(CoroutineID("\(number)"), .ok(nil))) }
            }
            try await holder.run("commit")
            await journal.close()
            for (number, task) in tasks.enumerated() { #expect(try await task.value == number) }
            let error = await thrown { try await stream.append(.close("late", .ok(nil))) }
            #expect(error?.code == .closed)
            #expect(error?.outcome == .notWritten)
        }
    }

    @Test("where nothing gets through, those that wait for room fail as the appends do, and nothing of them is written")
    func stuck() async throws {
        let change = ConfigurationChange.with {
            $0.maximumQueuedBytes = 1
            $0.appendDeadline = .milliseconds(300)
        }
        try await withHeldServer(change) { journal, holder in
            let stream = try journal.stream("s")
            try await withThrowingTaskGroup(of: JournalError?.self) { group in
                for number in 0..<10 {
                    group.addTask {
                        await thrown { try await stream.append(.close(CoroutineID("\(number)"), .ok(nil))) }
                    }
                }
                let errors = try await group.reduce(into: []) { $0.append($1) }
                #expect(errors.allSatisfy { $0 != nil })
                #expect(errors.allSatisfy { ($0?.outcome == .notWritten) == ($0?.receipt == nil) })
                try await holder.run("commit")
                let written = try await stream.nextPosition()
                #expect(written <= errors.count { $0?.outcome == .unknown })
            }
        }
    }

    @Test("an event larger than was reserved is refused, as is what cannot be made, and the room is free again")
    func refusals() async throws {
        try await withTestJournal(.with { $0.maximumQueuedBytes = 1000 }) { journal in
            struct NoEvent: Error {}
            let stream = try journal.stream("s")
            let small = DurableEvent.close("root", .ok(nil))
            for _ in 0..<20 {
                let large = await thrown { try await stream.append(reserving: 10) { small } }
                #expect(large?.code == .invalidArgument)
                #expect(large?.outcome == .notWritten)
                await #expect(throws: NoEvent.self) { try await stream.append(reserving: 500) { throw NoEvent() } }
            }
            let none = await thrown { try await stream.append(reserving: 0) { small } }
            #expect(none?.code == .invalidArgument)
            #expect(try await stream.append(reserving: 500, expecting: 0) { small } == 0)
            let conflict = await thrown { try await stream.append(reserving: 500, expecting: 0) { small } }
            #expect(conflict?.code == .conflict)
            #expect(try await stream.append(small) == 1)
        }
    }

    #if os(Linux)
        /// `DURABLE_STREAMS_MEMORY_TASKS` says how many append; 200 where it is not set.
        @Test("many tasks that append a megabyte each take no more memory than the limit and what is on the wire")
        func memory() async throws {
            try await withTestDatabase { url in
                // In a process of its own, since other tests take memory in this one.
                await #expect(processExitsWith: .success) { [url = url as String] in
                    let count =
                        ProcessInfo.processInfo.environment["DURABLE_STREAMS_MEMORY_TASKS"].flatMap { Int($0) } ?? 200
                    let configuration = JournalConfiguration.with(url) {
                        $0.maximumQueuedBytes = QueueLimitTests.room(for: 16)
                        $0.appendDeadline = .seconds(300)
                    }
                    try await withJournal(configuration) { journal in
                        func append(_ number: Int) async throws {
                            try await journal.stream("s\(number % 8)").append(
                                reserving: QueueLimitTests.megabyte + 5000
                            ) {
                                try QueueLimitTests.largeEvent(number)
                            }
                        }
                        try await append(0)
                        let before = try QueueLimitTests.status("VmRSS:")
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            for number in 1..<count { group.addTask { try await append(number) } }
                            try await group.waitForAll()
                        }
                        let growth = try QueueLimitTests.status("VmHWM:") - before
                        // The events; for each connection a segment as parameters, in libpq's buffer, and what it grew
                        // from; what the allocator keeps of all that; and the tasks that wait, which are the caller's.
                        #expect(growth < 16 * 3 << 20 + 2 * 4 * 8 << 20 + count * 4096, "\(growth >> 20) MiB")
                    }
                }
            }
        }

        fileprivate static func status(_ name: String) throws -> Int {
            let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix(name) })
            return try #require(Int(line.filter(\.isNumber))) << 10
        }
    #endif
}
