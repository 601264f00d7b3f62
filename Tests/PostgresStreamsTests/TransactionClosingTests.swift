import PostgresStreams
import Testing
import TisynStreams

/// What the end of a journal means for transactions that run.
@Suite("Transactions of the caller, and the journal's end", .serialized, .timeLimit(.minutes(10)))
struct TransactionClosingTests {
    private static let event = DurableEvent.close("root", .cancelled)

    /// Longer than the suite's time limit: what waits for a deadline does not pass.
    private static var change: ConfigurationChange { .with { $0.appendDeadline = .seconds(1200) } }

    /// Once no other begins any more.
    private func untilClosing(_ journal: Journal) async throws {
        try await until {
            guard case .failure(let error) = try await outcome(of: { try await journal.transaction { _ in } }) else {
                return false
            }
            #expect(error.code == .closed)
            #expect(error.outcome == .notWritten)
            return true
        }
    }

    @Test("close lends no connection any more, and waits for the transactions that run")
    func waits() async throws {
        try await withTestDatabase { url in
            var configuration = JournalConfiguration.quiet(url)
            Self.change.apply(&configuration)
            let journal = try await Journal.open(configuration)
            let stream = try journal.stream("s")
            let (started, start) = AsyncStream.makeStream(of: Void.self)
            let transaction = Task {
                try await journal.transaction { tx in
                    try await tx.query("select 1")
                    start.finish()
                    try await untilClosing(journal)
                    // It has all it needs.
                    try await journal.stream("other").append(Self.event)
                    return try await tx.append(Self.event, to: stream)
                }
            }
            for await _ in started {}
            await journal.close()
            let late = await thrown { try await stream.append(Self.event) }
            #expect(late?.code == .closed)
            try await withJournal(.quiet(url)) { other async throws in
                #expect(try await other.stream("s").nextPosition() == 1)
                #expect(try await other.stream("other").nextPosition() == 1)
            }
            #expect(try await transaction.value == 0)
        }
    }

    @Test(
        "close waits no longer than the deadline, or its task's cancellation: a body that goes on gets closed",
        arguments: [true, false]
    )
    func endsThem(_ isCancelled: Bool) async throws {
        try await withTestDatabase { url in
            let deadline = isCancelled ? Duration.seconds(1200) : .seconds(10)
            let journal = try await Journal.open(.with(url) { $0.appendDeadline = deadline })
            let stream = try journal.stream("s")
            let (started, start) = AsyncStream.makeStream(of: Void.self)
            let (closed, close) = AsyncStream.makeStream(of: Void.self)
            let transaction = Task {
                // Where it does not get there, too.
                defer { start.finish() }
                return await thrown {
                    try await journal.transaction { tx in
                        try await tx.append(Self.event, to: stream)
                        start.finish()
                        for await _ in closed {}
                        let error = await thrown { try await tx.query("select 1") }
                        #expect(error?.code == .closed)
                        #expect(error?.outcome == .notWritten)
                    }
                }
            }
            for await _ in started {}
            let closing = Task { await journal.close() }
            if isCancelled {
                try await untilClosing(journal)
                closing.cancel()
            }
            await closing.value
            close.finish()
            let error = await transaction.value
            #expect(error?.code == .closed)
            #expect(error?.outcome == .notWritten)
            try await withJournal(.quiet(url)) { other async throws in
                #expect(try await other.stream("s").nextPosition() == 0)
            }
        }
    }

    @Test("one whose commit was sent when it was ended may have been committed, and says so")
    func unknown() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                try await sql.run(
                    """
                    create function wait() returns trigger language plpgsql as $$
                    begin
                        perform pg_advisory_xact_lock(42);
                        return null;
                    end $$
                    """
                )
                // It runs in the commit.
                try await sql.run(
                    """
                    create constraint trigger wait after insert on durable_streams.events
                    deferrable initially deferred for each row execute function wait()
                    """
                )
                try await sql.run("select pg_advisory_lock(42)")
                var configuration = JournalConfiguration.quiet(url)
                Self.change.apply(&configuration)
                let journal = try await Journal.open(configuration)
                let stream = try journal.stream("s")
                let transaction = Task {
                    await thrown { try await journal.transaction { try await $0.append(Self.event, to: stream) } }
                }
                let waiting = """
                    select count(*) from pg_stat_activity
                    where datname = current_database() and wait_event = 'advisory' and query = 'commit'
                    """
                try await until { try await sql.integer(waiting) == 1 }
                let closing = Task { await journal.close() }
                try await untilClosing(journal)
                closing.cancel()
                await closing.value
                let error = await transaction.value
                #expect(error?.code == .closed)
                #expect(error?.outcome == .unknown)
                #expect(error?.receipt != nil)
                try await sql.run("select pg_advisory_unlock(42)")
            }
        }
    }

    @Test("one in whose body the journal is closed ends there, and so does one whose child task closes it")
    func inItsOwnBody() async throws {
        for isChild in [false, true] {
            try await withTestDatabase { url in
                var configuration = JournalConfiguration.quiet(url)
                Self.change.apply(&configuration)
                let journal = try await Journal.open(configuration)
                let error = await thrown {
                    try await journal.transaction { tx in
                        try await tx.append(Self.event, to: journal.stream("s"))
                        if isChild {
                            await withTaskGroup(of: Void.self) { $0.addTask { await journal.close() } }
                        } else {
                            await journal.close()
                        }
                        let error = await thrown { try await tx.query("select 1") }
                        #expect(error?.code == .closed)
                        #expect(error?.outcome == .notWritten)
                    }
                }
                #expect(error?.code == .closed)
                #expect(error?.outcome == .notWritten)
            }
        }
    }

    @available(macOS 26, *)
    @Test("flush waits for what was begun before it, but not for the one in whose body it is called")
    func flush() async throws {
        try await withTestJournal(Self.change) { journal in
            let (started, start) = AsyncStream.makeStream(of: Void.self)
            let (released, release) = AsyncStream.makeStream(of: Void.self)
            let transaction = Task {
                try await journal.transaction { tx in
                    try await tx.query("select 1")
                    await journal.flush()
                    start.finish()
                    for await _ in released {}
                    try await tx.append(Self.event, to: journal.stream("s"))
                }
            }
            for await _ in started {}
            // It has looked what there is before this goes on.
            let flushed = Task.immediate { () async throws -> Int in
                await journal.flush()
                return try await journal.stream("s").nextPosition()
            }
            release.finish()
            #expect(try await flushed.value == 1)
            _ = try await transaction.value
        }
    }
}
