import Foundation
import PostgresStreams
import Testing
import TisynStreams

/// Tasks that are cancelled and journals that are closed, with work in every state.
@Suite("Cancelling and closing", .serialized, .timeLimit(.minutes(10)))
struct CancellationTests {
    /// A journal with one connection that appends, stopped at the lock of the events, of which stream `s` has one.
    ///
    /// - Parameter isPatient: appends wait for that lock however long it takes; otherwise as long as they ever do.
    private func withHeldStream(
        isPatient: Bool = true,
        _ body: (_ journal: Journal, _ stream: PostgresStream, _ holder: SQLSession, _ observer: SQLSession)
            async throws -> Void
    ) async throws {
        let change = ConfigurationChange.with { configuration in
            configuration.writerConnections = 1
            // However long the test takes.
            configuration.appendDeadline = .seconds(280)
        }
        try await withTestJournal(change) { journal in
            let url = journal.configuration.databaseURL
            let stream = try journal.stream("s")
            // By another journal: this one's appends then go by the function, whose time-out for locks we can change.
            try await withJournal(.quiet(url)) { other in
                _ = try await other.stream("s").append(.close("before", .cancelled))
            }
            try await withSQL(url) { holder in
                try await withSQL(url) { observer in
                    // They would change that order.
                    if isPatient { try await holder.letAppendsWait() }
                    try await holder.run("begin")
                    try await holder.run(Self.lock)
                    try await body(journal, stream, holder, observer)
                }
            }
        }
    }

    /// A table's lock goes to those who wait in the order they came; a row's does not.
    private static let lock = "lock table durable_streams.events in exclusive mode"

    private func untilBlocked(_ observer: SQLSession) async throws {
        try await until { try await observer.seesAppendWaiting() }
    }

    @available(macOS 26, *)
    @Test("an append that waits behind another is withdrawn: not written, now or later")
    func queued() async throws {
        try await withHeldStream { journal, stream, holder, observer in
            let first = Task { try await stream.append(.close("first", .cancelled)) }
            try await untilBlocked(observer)
            // Immediate: they are queued when this returns.
            let second = Task.immediate { await thrown { try await stream.append(.close("second", .cancelled)) } }
            let third = Task.immediate { try await journal.stream("other").append(.close("third", .cancelled)) }
            second.cancel()
            let error = await second.value
            #expect(error?.code == .cancelled)
            #expect(error?.outcome == .notWritten)
            #expect(error?.receipt == nil)
            try await holder.run("commit")
            #expect(try await first.value == 1)
            #expect(try await third.value == 0)
            #expect(try await stream.readAll().map(\.coroutineID) == ["before", "first"])
        }
    }

    @Test("an append on the wire is not interrupted: its outcome is unknown until resolve tells")
    func onTheWire() async throws {
        try await withHeldStream { journal, stream, holder, observer in
            let first = Task { await thrown { try await stream.append(.close("first", .cancelled)) } }
            try await untilBlocked(observer)
            first.cancel()
            let error = await first.value
            #expect(error?.code == .cancelled)
            #expect(error?.outcome == .unknown)
            let receipt = try #require(error?.receipt)
            #expect(receipt.stream == stream.name)
            #expect(try await journal.resolve(receipt) == .notWrittenYet)
            // Handed on to another process.
            let handedOn = try JSONDecoder().decode(AppendReceipt.self, from: JSONEncoder().encode(receipt))
            #expect(handedOn == receipt)
            try await withJournal(.quiet(journal.configuration.databaseURL)) { other in
                #expect(try await other.resolve(handedOn) == .notWrittenYet)
                try await holder.run("commit")
                await journal.flush()
                #expect(try await other.resolve(handedOn) == .written(at: 1))
            }
            #expect(try await journal.resolve(receipt) == .written(at: 1))
            #expect(try await stream.readAll().map(\.coroutineID) == ["before", "first"])
            _ = try await stream.claim()
            #expect(try await journal.resolve(receipt) == .written(at: 1))
        }
    }

    @Test("one that was given up on the wire and then refused is not written behind its receipt's back")
    func givenUpAndRefused() async throws {
        try await withHeldStream(isPatient: false) { journal, stream, holder, observer in
            // Again where it was refused, and rested, before it was cancelled.
            var given: AppendReceipt?
            while given == nil {
                let first = Task { await thrown { try await stream.append(.close("first", .cancelled)) } }
                try await untilBlocked(observer)
                first.cancel()
                given = await first.value?.receipt
                // Nor does one do that was refused and is on the wire again: it may come to the lock when that is free.
                if given != nil, try await !observer.seesAppendWaiting() {
                    await journal.flush()
                    given = nil
                }
            }
            let receipt = try #require(given)
            // The server's patience with locks ends, and the append is rolled back.
            try await until {
                try await observer.integer(
                    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
                ) == 0
            }
            try await holder.run("commit")
            await journal.flush()
            #expect(try await journal.resolve(receipt) == .notWrittenYet)
            #expect(try await stream.readAll().map(\.coroutineID) == ["before"])
            // Whoever claims the stream need not wait to know.
            let claim = try await stream.claim()
            #expect(try await journal.resolve(receipt) == .notWritten)
            try await claim.stream.append(.close("after", .cancelled))
            #expect(try await journal.resolve(receipt) == .notWritten)
        }
    }

    @available(macOS 26, *)
    @Test("each of several appends that share a transaction resolves to its own position")
    func receiptsOfOneSegment() async throws {
        try await withHeldStream { journal, stream, holder, observer in
            let first = Task { try await stream.append(.close("first", .cancelled)) }
            try await untilBlocked(observer)
            let shared = (0..<4).map { n in
                Task.immediate {
                    await thrown {
                        try await stream.append(contentsOf: [
                            .close("\(n).a", .cancelled), .close("\(n).b", .cancelled),
                        ])
                    }
                }
            }
            // Lets the first through and stops the next transaction, which has the others.
            let next = try await SQLSession(journal.configuration.databaseURL)
            try await next.run("begin")
            async let held = next.run(Self.lock)
            try await until {
                try await observer.integer(
                    """
                    select count(*) from pg_stat_activity where datname = current_database()
                        and wait_event_type = 'Lock' and query like 'lock table%'
                    """
                ) > 0
            }
            try await holder.run("commit")
            _ = try await held
            #expect(try await first.value == 1)
            try await untilBlocked(observer)
            for task in shared { task.cancel() }
            var receipts: [AppendReceipt] = []
            for task in shared { receipts.append(try #require(await task.value?.receipt)) }
            try await next.run("commit")
            await journal.flush()
            for (n, receipt) in receipts.enumerated() {
                let resolution = try await journal.resolve(receipt)
                #expect(resolution == .written(at: 2 + 2 * n))
            }
        }
    }

    @Test("a task that is cancelled before it appends writes nothing")
    func cancelledBefore() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            for _ in 0..<20 {
                let task = Task {
                    while !Task.isCancelled { await Task.yield() }
                    return await thrown { try await stream.append(.close("never", .cancelled)) }
                }
                task.cancel()
                let error = await task.value
                #expect(error?.code == .cancelled)
                #expect(error?.outcome == .notWritten)
            }
            #expect(try await stream.nextPosition() == 0)
        }
    }

    @Test("appends that are cancelled at any moment are there if their error says so, and not if it says not")
    func cancelledAtAnyMoment() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            var unknown: [(CoroutineID, AppendReceipt)] = []
            var written: Set<CoroutineID> = []
            var notWritten: Set<CoroutineID> = []
            for round in 0..<60 {
                let tasks = (0..<8).map { n in
                    let id = CoroutineID("\(round).\(n)")
                    return (id, Task { try await outcome { try await stream.append(.close(id, .ok(nil))) } })
                }
                for _ in 0..<(round % 12) { await Task.yield() }
                for (_, task) in tasks { task.cancel() }
                for (id, task) in tasks {
                    switch try await task.value {
                    case .success: written.insert(id)
                    case .failure(let error):
                        #expect(error.code == .cancelled)
                        if let receipt = error.receipt {
                            #expect(error.outcome == .unknown)
                            unknown.append((id, receipt))
                        } else {
                            #expect(error.outcome == .notWritten)
                            notWritten.insert(id)
                        }
                    }
                }
            }
            await journal.flush()
            let ids = try await stream.readAll().map(\.coroutineID)
            #expect(Set(ids).count == ids.count)
            #expect(written.isSubset(of: ids))
            #expect(notWritten.isDisjoint(with: ids))
            for (id, receipt) in unknown {
                switch try await journal.resolve(receipt) {
                case .written(let position): #expect(ids[position] == id)
                case .notWritten, .notWrittenYet: #expect(!ids.contains(id))
                }
            }
        }
    }

    @Test("a cancelled tail ends at once, and the journal tails no more")
    func tail() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            let tasks = (0..<20).map { _ in
                Task { await thrown { for try await _ in stream.tail() {} } }
            }
            for await state in journal.listeningStates() where state == .listening { break }
            for task in tasks { task.cancel() }
            for task in tasks {
                let error = await task.value
                #expect(error?.code == .cancelled)
                #expect(error?.outcome == nil)
            }
            for await state in journal.listeningStates() where state == .idle { break }
            #expect(try await stream.append(.close("root", .cancelled)) == 0)
            // And it can be begun anew.
            var seen = 0
            for try await _ in stream.tail(untilClose: true) { seen += 1 }
            #expect(seen == 1)
        }
    }

    @Test("a loop over events whose task is cancelled gets no more, though a page of them is there")
    func loops() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(contentsOf: (0..<200).map { .close(CoroutineID("\($0)"), .ok(nil)) })
            func expectEnd(_ events: some AsyncSequence<RecordedEvent, JournalError> & Sendable, _ what: String) async {
                let task = Task {
                    var count = 0
                    let error = await thrown {
                        for try await _ in events {
                            count += 1
                            withUnsafeCurrentTask { $0?.cancel() }
                        }
                    }
                    return (count, error?.code)
                }
                let (count, code) = await task.value
                #expect(count == 1, "\(what)")
                #expect(code == .cancelled, "\(what)")
            }
            await expectEnd(stream.read(), "read")
            await expectEnd(stream.tail(), "tail")
            await expectEnd(journal.tailAll(), "tailAll")
        }
    }

    @Test("a cancelled replay index reads no further")
    func replayIndex() async throws {
        try await withTestJournal(.with { $0.pageSize = 1 }) { journal in
            let url = journal.configuration.databaseURL
            let stream = try journal.stream("s")
            try await stream.append(contentsOf: (0..<400).map { .close(CoroutineID("\($0)"), .ok(nil)) })
            let index = stream.replayIndex()
            try await index.extend()
            try await withSQL(url) { holder in
                try await holder.run("begin")
                try await holder.run("lock table durable_streams.events in access exclusive mode")
                let tasks = [
                    Task { await thrown { try await index.read() } },
                    Task { await thrown { _ = try await index.coroutineIDs() } },
                ]
                try await withSQL(url) { observer in
                    try await until {
                        try await observer.integer(
                            """
                            select count(*) from pg_stat_activity where datname = current_database()
                                and wait_event_type = 'Lock'
                            """
                        ) > 0
                    }
                }
                for task in tasks { task.cancel() }
                for task in tasks {
                    let error = await task.value
                    #expect(error?.code == .cancelled)
                }
                try await holder.run("rollback")
            }
            // Each is answered behind a page, as long as pages are asked for.
            for _ in 0..<50 { try await index.extend() }
            // The first page, and those under way when it was cancelled, of two events each.
            #expect(index.progress.read <= 2 + 2 * 3)
        }
    }

    @Test("a cancelled read, claim or listing ends as cancelled")
    func reads() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(.close("root", .cancelled))
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await sql.run("begin")
                try await sql.run("lock table durable_streams.streams in access exclusive mode")
                let tasks = [
                    Task { await thrown { _ = try await stream.readAll() } },
                    Task { await thrown { _ = try await stream.claim() } },
                    Task { await thrown { _ = try await stream.nextPosition() } },
                    Task { await thrown { for try await _ in journal.streams() {} } },
                    Task { await thrown { _ = try await stream.replayIndex().peekYield("root") } },
                ]
                for task in tasks { task.cancel() }
                for task in tasks {
                    let error = await task.value
                    #expect(error?.code == .cancelled)
                }
                try await sql.run("rollback")
            }
            #expect(try await stream.readAll().count == 1)
        }
    }
}
