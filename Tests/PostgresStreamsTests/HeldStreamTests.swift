import Testing
import TisynStreams

@testable import PostgresStreams

/// Claims of streams that others hold, and what goes on beside them.
@Suite("Held streams", .serialized, .timeLimit(.minutes(10)))
struct HeldStreamTests {
    private func hold(_ stream: String, _ sql: SQLSession, _ function: String = "pg_advisory_lock") async throws {
        try await sql.run("select \(function)(hashtextextended('durable_streams/\(stream)', 0))")
    }

    @Test("one that becomes free is claimed, and another is resolved, while a hundred are held")
    func manyHeld() async throws {
        guard #available(macOS 26, *) else { return }
        try await withTestJournal(.with { $0.readDeadline = .seconds(240) }) { journal in
            try await withSQL(journal.configuration.databaseURL) { sql in
                for name in ["s"] + (0..<100).map({ "h\($0)" }) { try await hold(name, sql) }
                // One after the other they would keep the rest waiting for longer than the deadline.
                let held = (0..<100).map { n in Task.immediate { try await journal.stream("h\(n)").claim().epoch } }
                async let claim = journal.stream("s").claim()
                try await until {
                    try await sql.integer(
                        """
                        select count(*) from pg_stat_activity
                        where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()
                        """
                    ) > 0
                }
                let receipt = AppendReceipt(
                    stream: try StreamName("free"),
                    epoch: nil,
                    position: 0,
                    token: .init(high: 1, low: 2),
                    offset: 0
                )
                #expect(try await journal.resolve(receipt) == .notWrittenYet)
                try await hold("s", sql, "pg_advisory_unlock")
                #expect(try await claim.epoch == 1)
                for n in 0..<100 { try await hold("h\(n)", sql, "pg_advisory_unlock") }
                for task in held { #expect(try await task.value == 1) }
            }
        }
    }

    @Test("a claim that does not get its stream by the deadline says that somebody held it")
    func heldUntilTheDeadline() async throws {
        try await withTestJournal(.with { $0.readDeadline = .seconds(10) }) { journal in
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await hold("s", sql)
                var error: JournalError?
                // Again where the machine stood still for as long, and it was not refused even once.
                for _ in 0..<3 where error?.message.contains("held the stream") != true {
                    error = await thrown { try await journal.stream("s").claim() }
                }
                #expect(error?.code == .unreachable)
                #expect(error?.message.contains("held the stream") == true, "\(error?.message ?? "")")
            }
        }
    }

    @Test("an append whose stream is held until its deadline was refused each time: it is known not to be written")
    func heldAppends() async throws {
        for milliseconds in [1800, 2400, 3100, 4300] {
            try await withTestJournal(.with { $0.appendDeadline = .milliseconds(milliseconds) }) { journal in
                try await withSQL(journal.configuration.databaseURL) { sql in
                    for name in 0..<3 { try await hold("\(name)", sql) }
                    let begin = ContinuousClock.now
                    let outcomes = try await withThrowingTaskGroup(of: JournalError?.self) { group in
                        for name in 0..<3 {
                            let stream = try journal.stream("\(name)")
                            group.addTask { await thrown { try await stream.append(.close("root", .cancelled)) } }
                        }
                        return try await group.reduce(into: []) { $0.append($1?.outcome) }
                    }
                    // Unless the machine stood still.
                    let late = ContinuousClock.now - begin - .milliseconds(milliseconds)
                    if late < .milliseconds(50) { #expect(outcomes == [.notWritten, .notWritten, .notWritten]) }
                }
            }
        }
    }

    @Test("a claim has its turn among appends that follow one on the other, while another stream is held")
    func busy() async throws {
        try await withTestJournal { journal in
            let url = journal.configuration.databaseURL
            try await withSQL(url) { sql in
                try await hold("h", sql)
                async let other = journal.stream("h").claim()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<4 {
                        group.addTask {
                            try await withSQL(url) { sql in
                                // Until it is fenced.
                                let append = """
                                    select outcome from durable_streams.append('s',
                                        array['{"type":"close","coroutineId":"c","result":{"status":"ok"}}']::json[])
                                    """
                                while try await sql.value(append) == "written" {}
                            }
                        }
                    }
                    #expect(try await journal.stream("s").claim().epoch == 1)
                    try await group.waitForAll()
                }
                try await hold("h", sql, "pg_advisory_unlock")
                #expect(try await other.epoch == 1)
            }
        }
    }
}
