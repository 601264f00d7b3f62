import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// Appends in the caller's own transactions.
@Suite("Transactions of the caller", .serialized, .timeLimit(.minutes(10)))
struct TransactionTests {
    private static let event = DurableEvent.close("root", .cancelled)

    @Test("what it writes and what it appends are committed together")
    func commits() async throws {
        try await Accounts.with { url, journal in
            let stream = try journal.stream("s")
            let position = try await journal.transaction { tx in
                try await tx.query("update accounts set balance = balance - $1 where id = $2", 30, "a")
                let first = try await tx.append(Self.event, to: stream)
                let answer = try await tx.query("select balance, id from accounts order by id")
                #expect(answer.map { $0["balance"]?.int } == [70, 0])
                #expect(answer.first?[1].text == "a")
                let more = try await tx.append(contentsOf: [Self.event, Self.event], to: stream, expecting: 1)
                #expect(more == 1..<3)
                return first
            }
            #expect(position == 0)
            #expect(try await Accounts.balance(url) == 70)
            #expect(try await stream.readAll().count == 3)
        }
    }

    @Test("a body that throws leaves nothing, and its error comes out as it was")
    func rollsBack() async throws {
        struct Stop: Error {}
        try await Accounts.with { url, journal in
            let stream = try journal.stream("s")
            await #expect(throws: Stop.self) {
                try await journal.transaction { tx in
                    try await tx.query("update accounts set balance = 0")
                    try await tx.append(Self.event, to: stream)
                    throw Stop()
                }
            }
            #expect(try await Accounts.balance(url) == 100)
            #expect(try await stream.readAll().isEmpty)
            // The connection is as good as new.
            _ = try await journal.transaction { tx in try await tx.append(Self.event, to: stream) }
            #expect(try await stream.nextPosition() == 1)
        }
    }

    @Test("a refused statement says why, and one whose error the body swallows cannot be committed")
    func refusals() async throws {
        try await Accounts.with { url, journal in
            let stream = try journal.stream("s")
            let refusal = await #expect(throws: JournalError.self) {
                try await journal.transaction { tx in
                    try await tx.append(Self.event, to: stream)
                    try await tx.query("update accounts set balance = -1 where id = 'a'")
                }
            }
            #expect(refusal?.sqlState == "23514")
            let swallowed = await #expect(throws: JournalError.self) {
                try await journal.transaction { tx in
                    try await tx.append(Self.event, to: stream)
                    _ = try? await tx.query("select 1 / 0")
                }
            }
            #expect(swallowed?.outcome == .notWritten)
            #expect(try await Accounts.balance(url) == 100)
            #expect(try await stream.readAll().isEmpty)
        }
    }

    @Test(
        "what would end it, or has no answer, is refused before it is sent",
        arguments: [
            "commit", " ROLLBACK", ";end", "begin", "/* a /* nested */ comment */ commit", "-- a line\ncommit",
            "-- a\u{2028} line\nrollback", "--\u{301}\nrollback", "/*\u{301}*/ rollback",
            "-- a\u{b}\rrollback", "\u{c}rollback", "\u{b}rollback", "copy (select 1) to stdout",
            "rollback to savepoint a", "prepare transaction 'a'", "select 1 \0",
        ]
    )
    func control(_ sql: String) async throws {
        try await Accounts.with { _, journal in
            let error = await #expect(throws: JournalError.self) {
                try await journal.transaction { tx in try await tx.query(sql) }
            }
            #expect(error?.code == .invalidArgument)
            #expect(error?.outcome == .notWritten)
        }
    }

    @Test("an append that is refused fails the transaction, though the body swallows that: no effect without its event")
    func answers() async throws {
        try await Accounts.with { url, journal in
            let stream = try journal.stream("s")
            let old = try await stream.claim().stream
            let new = try await stream.claim().stream
            func expectFailure(
                _ code: JournalError.Code,
                _ append: @escaping @Sendable (JournalTransaction) async throws -> Void
            ) async {
                let error = await thrown {
                    try await journal.transaction { tx in
                        try await tx.query("update accounts set balance = 0")
                        let error = await thrown { try await append(tx) }
                        #expect(error?.code == code)
                        let later = await thrown { try await tx.append(Self.event, to: new) }
                        #expect(later?.code == code)
                        let query = await thrown { try await tx.query("select 1") }
                        #expect(query?.code == code)
                    }
                }
                #expect(error?.code == code)
                #expect(error?.outcome == .notWritten)
            }
            await expectFailure(.fenced) { tx in try await tx.append(Self.event, to: old) }
            await expectFailure(.conflict) { tx in try await tx.append(Self.event, to: new, expecting: 4) }
            await expectFailure(.conflict) { tx in try await tx.append(contentsOf: [], to: new, expecting: 4) }
            await expectFailure(.invalidArgument) { tx in try await tx.append(Self.event, to: new, expecting: -1) }
            try await withJournal(.quiet(url)) { other in
                let foreign = try other.stream("s")
                await expectFailure(.invalidArgument) { tx in try await tx.append(Self.event, to: foreign) }
            }
            #expect(try await Accounts.balance(url) == 100)
            #expect(try await stream.readAll().isEmpty)
            // The connection is as good as new.
            #expect(try await journal.transaction { tx in try await tx.append(Self.event, to: new) } == 0)
        }
    }

    @Test(
        "another client encoding fails it: events would be stored as something else, in a stream of another name",
        arguments: [
            "set local client_encoding = 'LATIN1'", "set names 'latin1'",
            "select set_config('client_encoding', 'LATIN1', true)",
        ]
    )
    func encoding(_ sql: String) async throws {
        try await Accounts.with { url, journal in
            let stream = try journal.stream("é")
            let error = await thrown {
                try await journal.transaction { tx in
                    try await tx.query("update accounts set balance = 0")
                    let error = await thrown { try await tx.query(sql) }
                    #expect(error?.message.contains("client_encoding") == true)
                    _ = await thrown { try await tx.append(Self.event, to: stream) }
                }
            }
            #expect(error?.code == .invalidArgument)
            #expect(error?.outcome == .notWritten)
            #expect(try await Accounts.balance(url) == 100)
            #expect(try await journal.streams().reduce(0) { count, _ in count + 1 } == 0)
            // The session is as it was.
            let answer = try await journal.transaction { tx in try await tx.query("show client_encoding") }
            #expect(answer.first?[0].text == "UTF8")
        }
    }

    @Test("the end of a long stream is found, whatever this process knows of it")
    func longStream() async throws {
        try await Accounts.with { url, journal in
            let stream = try journal.stream("s")
            try await stream.append(contentsOf: Array(repeating: Self.event, count: 2500))
            let position = try await journal.transaction { tx in try await tx.append(Self.event, to: stream) }
            #expect(position == 2500)
        }
    }

    @Test("a tail in another journal sees the events of a transaction once it is committed")
    func tails() async throws {
        try await Accounts.with { url, journal in
            let stream = try journal.stream("s")
            try await withJournal(.quiet(url)) { other in
                async let seen: [Int] = {
                    var positions: [Int] = []
                    for try await event in try other.stream("s").tail(untilClose: true) {
                        positions.append(event.position)
                    }
                    return positions
                }()
                _ = try await journal.transaction { tx in try await tx.append(Self.event, to: stream) }
                #expect(try await seen == [0])
            }
        }
    }

    @Test("more of them than there are connections take turns", arguments: TransactionIsolation.allCases)
    func concurrency(_ isolation: TransactionIsolation) async throws {
        try await Accounts.with { url, journal in
            let stream = try journal.stream("s")
            let done = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        // Who is told to try again does.
                        for _ in 0..<200 {
                            do {
                                try await journal.transaction(isolation: isolation) { tx in
                                    try await tx.query("update accounts set balance = balance - 1 where id = 'a'")
                                    try await tx.append(Self.event, to: stream)
                                }
                                return true
                            } catch let error as JournalError where error.asksForRetry {
                                #expect(error.outcome == .notWritten)
                            }
                        }
                        return false
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(done == 20)
            #expect(try await Accounts.balance(url) == 80)
            #expect(try await stream.readAll().count == 20)
        }
    }

    @Test(
        "one whose stream moved on after it had taken its snapshot is to be tried again",
        arguments: [TransactionIsolation.repeatableRead, .serializable]
    )
    func movedOn(_ isolation: TransactionIsolation) async throws {
        try await Accounts.with { _, journal in
            let stream = try journal.stream("s")
            let error = await thrown {
                try await journal.transaction(isolation: isolation) { tx in
                    try await tx.query("select count(*) from accounts")
                    try await stream.append(Self.event)
                    try await tx.append(Self.event, to: stream)
                }
            }
            #expect(error?.asksForRetry == true, "\(error.map { "\($0)" } ?? "none")")
            #expect(error?.outcome == .notWritten)
            #expect(try await stream.nextPosition() == 1)
        }
    }

    @Test(
        "what its snapshot does not show is to be tried again too; what is as it seems is told as ever",
        arguments: [TransactionIsolation.repeatableRead, .serializable]
    )
    func unseen(_ isolation: TransactionIsolation) async throws {
        try await Accounts.with { _, journal in
            /// What an append ends with whose transaction has its snapshot before `change`.
            func error(
                expecting position: Int?,
                after change: (PostgresStream) async throws -> PostgresStream
            ) async throws -> JournalError? {
                let stream = try journal.stream("\(UInt64.random(in: .min ... .max))")
                try await stream.append(Self.event)
                return await thrown {
                    try await journal.transaction(isolation: isolation) { tx in
                        try await tx.query("select count(*) from accounts")
                        try await tx.append(Self.event, to: change(stream), expecting: position)
                    }
                }
            }
            let grown = try await error(expecting: 2) { stream in
                try await stream.append(Self.event)
                return stream
            }
            #expect(grown?.asksForRetry == true, "\(grown?.message ?? "")")
            let claimed = try await error(expecting: 1) { try await $0.claim().stream }
            #expect(claimed?.asksForRetry == true, "\(claimed?.message ?? "")")
            let other = try await error(expecting: nil) { _ in
                let other = try await journal.stream("\(UInt64.random(in: .min ... .max))").claim().stream
                try await other.append(Self.event)
                return other
            }
            #expect(other?.asksForRetry == true, "\(other?.message ?? "")")
            let conflict = try await error(expecting: 7) { $0 }
            #expect(conflict?.code == .conflict)
            #expect(conflict?.actualPosition == 1)
            #expect(conflict?.asksForRetry == false)
            let none = try await error(expecting: 7) { _ in try journal.stream("none") }
            #expect(none?.code == .conflict)
            #expect(none?.actualPosition == 0)
        }
    }

    @Test("one that waits too long for a stream that another holds is to be tried again")
    func held() async throws {
        try await Accounts.with { _, journal in
            let stream = try journal.stream("s")
            try await journal.transaction { tx in
                try await tx.append(Self.event, to: stream)
                // Inside the body it would be refused at once.
                let error = await Task.detached {
                    await thrown {
                        try await journal.transaction { other in try await other.append(Self.event, to: stream) }
                    }
                }.value
                #expect(error?.sqlState == "55P03")
                #expect(error?.asksForRetry == true)
                #expect(error?.message.contains("another transaction holds the stream") == true)
            }
        }
    }

    @Test("a cancelled one is rolled back, and frees its streams")
    func cancellation() async throws {
        try await Accounts.with { url, journal in
            let stream = try journal.stream("s")
            let (started, continuation) = AsyncStream.makeStream(of: Void.self)
            let task = Task {
                try await journal.transaction { tx in
                    try await tx.append(Self.event, to: stream)
                    continuation.yield()
                    try await tx.query("select pg_sleep(3600)")
                }
            }
            for await _ in started { break }
            try await until {
                try await withSQL(url) {
                    try await $0.integer(
                        """
                        select count(*) from pg_stat_activity
                        where wait_event = 'PgSleep' and datname = current_database()
                        """
                    ) == 1
                }
            }
            task.cancel()
            await #expect(throws: JournalError.self) { try await task.value }
            #expect(try await stream.append(Self.event) == 0)
            #expect(try await stream.readAll().count == 1)
        }
    }

    @Test("one that is begun by a cancelled task takes no connection from the others")
    func cancelledBefore() async throws {
        try await Accounts.with { _, journal in
            for _ in 0..<2 * journal.configuration.transactionConnections {
                let task = Task {
                    while !Task.isCancelled { await Task.yield() }
                    try await journal.transaction { tx in _ = try await tx.query("select 1") }
                }
                task.cancel()
                #expect(await thrown { try await task.value }?.code == .cancelled)
            }
            let answer = try await journal.transaction { tx in try await tx.query("select 1").count }
            #expect(answer == 1)
        }
    }

    @Test("one inside another's body, with no connection to spare, ends at the deadline, and both are over")
    func nested() async throws {
        try await withTestDatabase { url in
            let change = { (configuration: inout JournalConfiguration) in
                configuration.transactionConnections = 1
                configuration.appendDeadline = .seconds(5)
            }
            try await withJournal(.with(url, change)) { journal in
                try await untilInTime {
                    try await journal.transaction { _ in
                        // Two, the second of which comes while somebody waits.
                        async let first = thrown { try await journal.transaction { _ in } }
                        async let second = thrown { try await journal.transaction { _ in } }
                        for error in await [first, second] {
                            #expect(error?.code == .unreachable)
                            #expect(error?.outcome == .notWritten)
                            #expect(error?.message.contains("transactionConnections") == true)
                        }
                    }
                }
                try await untilInTime { try await journal.transaction { _ in } }
            }
        }
    }

    @Test("a closed journal runs none")
    func closed() async throws {
        try await Accounts.with { _, journal in
            await journal.close()
            let error = await #expect(throws: JournalError.self) { try await journal.transaction { _ in } }
            #expect(error?.code == .closed)
            #expect(error?.outcome == .notWritten)
        }
    }
}
