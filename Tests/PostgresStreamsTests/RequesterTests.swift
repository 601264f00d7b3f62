import PostgresStreams
import Testing
import TisynStreams

/// Statements that are repeated over lost connections.
@Suite("Requests", .serialized, .timeLimit(.minutes(2)))
struct RequesterTests {
    @Test("those that are lost together are sent again in the order they came")
    func orderAfterLoss() async throws {
        guard #available(macOS 26, *) else { return }
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            _ = try await stream.claim()
            let url = journal.configuration.databaseURL
            try await withSQL(url) { holder in
                try await withSQL(url) { observer in
                    try await holder.run("begin; lock table durable_streams.streams in access exclusive mode")
                    // Each answers the epoch that it raised the stream to, and so its turn.
                    let claims = (0..<6).map { _ in Task.immediate { try await stream.claim().epoch } }
                    let blocked =
                        "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
                    for _ in 0..<2 {
                        try await until { try await observer.integer("select count(*) \(blocked)") == 1 }
                        try await observer.run("select pg_terminate_backend(pid, 5000) \(blocked)")
                    }
                    try await holder.run("commit")
                    for (number, claim) in claims.enumerated() { #expect(try await claim.value == number + 2) }
                }
            }
        }
    }
}
