import PostgresStreams
import Testing
import TisynStreams

/// A failover or restore that lost the end of the log: played by the tables' owner, who can switch the guards off.
@Suite("A log that was replaced", .serialized, .timeLimit(.minutes(10)))
struct LogReplacedTests {
    /// Runs `change` on the tables of a journal that has delivered events 0 and 1 of `s`, cuts its connections, and gives
    /// what its tail ends with.
    private func tailError(after change: String, thenAppends: Bool) async throws -> JournalError? {
        try await withTestJournal(.with { $0.listening.pollInterval = .milliseconds(20) }) { journal in
            let stream = try journal.stream("s")
            try await stream.append(.close("0", .ok(nil)))
            try await stream.append(.close("1", .ok(nil)))
            var iterator = stream.tail().makeAsyncIterator()
            _ = try await iterator.next()
            _ = try await iterator.next()
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await sql.run("set search_path = durable_streams")
                try await sql.run("begin")
                try await sql.run("alter table events disable trigger all")
                try await sql.run(change)
                try await sql.run("alter table events enable trigger all")
                if thenAppends {
                    let event = #"{"type":"close","coroutineId":"other","result":{"status":"ok"}}"#
                    try await sql.run("select * from append('s', array['\(event)', '\(event)']::json[])")
                }
                // Before it is committed, or a read over an old connection may be the first to see it.
                try await sql.run(
                    """
                    select pg_terminate_backend(pid, 60000) from pg_stat_activity
                    where datname = current_database() and application_name = 'durable-streams'
                    """
                )
                try await sql.run("commit")
            }
            let error = await thrown { try await iterator.next() }
            let after = try await iterator.next()
            #expect(after == nil)
            return error
        }
    }

    private static let deleteLast = "delete from events where position = 1"

    @Test("another event stands where one was delivered: the tail ends and names both")
    func replaced() async throws {
        let error = try await tailError(after: Self.deleteLast, thenAppends: true)
        #expect(error?.code == .logReplaced)
        #expect(error?.expectedPosition == 1)
        #expect(error?.actualPosition == 1)
    }

    @Test("nothing stands where one was delivered: the tail ends")
    func lost() async throws {
        let error = try await tailError(after: Self.deleteLast, thenAppends: false)
        #expect(error?.code == .logReplaced)
        #expect(error?.expectedPosition == 1)
        #expect(error?.actualPosition == nil)
    }

    @Test("a tail whose log is as it was goes on")
    func unchanged() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(.close("0", .ok(nil)))
            var iterator = stream.tail().makeAsyncIterator()
            _ = try await iterator.next()
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await sql.run(
                    """
                    select pg_terminate_backend(pid) from pg_stat_activity
                    where datname = current_database() and application_name = 'durable-streams'
                    """
                )
            }
            try await stream.append(.close("1", .ok(nil)))
            let event = try await iterator.next()
            #expect(event?.position == 1)
        }
    }

    @Test("an append to a stream that ends before what was acknowledged to us says so, and writes nothing")
    func append() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            for n in 0..<3 { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await sql.run("set search_path = durable_streams")
                try await sql.run("alter table events disable trigger all")
                try await sql.run("delete from events where position >= 1")
                try await sql.run("alter table events enable trigger all")
            }
            let error = await thrown { try await stream.append(.close("3", .ok(nil))) }
            #expect(error?.code == .logReplaced)
            #expect(error?.outcome == .notWritten)
            #expect(error?.actualPosition == 1)
            #expect(try await stream.nextPosition() == 1)
        }
    }
}
