import Testing
import TisynStreams

@testable import PostgresStreams

/// How long appends wait for what other transactions hold.
@Suite("The patience of appends", .timeLimit(.minutes(10)))
struct LockPatienceTests {
    @Test("it is the same by the functions and by the view, and resolve, which nobody shares, has more")
    func isOne() async throws {
        try await withTestDatabase { url in
            let settings = try await withSQL(url) { sql in
                try await sql.run(
                    """
                    select proname, array_to_string(proconfig, ' ') from pg_proc
                    where proname in ('append_batch', 'append_next', 'resolve') order by proname
                    """
                )
            }
            #expect(settings.map(\.first) == ["append_batch", "append_next", "resolve"])
            for function in settings.prefix(2) {
                #expect(function.last?.contains("lock_timeout=\(AppendStatements.patience)") == true)
            }
            #expect(settings.last?.last?.contains("lock_timeout=5s") == true)
            let statements = Statements(schema: try SchemaName("durable_streams"))
            #expect(statements.append.settings.sql.contains("'lock_timeout', '\(AppendStatements.patience)'"))
        }
    }

    @Test("the appends of others are made while a stream is held, over a single connection")
    func neighbours() async throws {
        let change = ConfigurationChange.with { configuration in
            configuration.writerConnections = 1
            configuration.appendDeadline = .seconds(1200)
        }
        try await withTestJournal(change) { journal in
            try await withSQL(journal.configuration.databaseURL) { holder in
                try await holder.run("begin")
                try await holder.run("select pg_advisory_xact_lock(hashtextextended('durable_streams/held', 0))")
                let held = Task { try await journal.stream("held").append(.close(.root, .cancelled)) }
                for n in 0..<20 { #expect(try await journal.stream("s").append(.close("\(n)", .cancelled)) == n) }
                try await holder.run("commit")
                #expect(try await held.value == 0)
            }
        }
    }
}
