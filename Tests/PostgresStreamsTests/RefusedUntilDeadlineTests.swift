import Testing

@testable import PostgresStreams

@Suite("What is refused until the deadline")
struct RefusedUntilDeadlineTests {
    @Test("says that the stream was held only where the lock was the stream's, who refused, and the SQLSTATE")
    func words() {
        let held = JournalError.refusedUntilDeadline("no", sqlState: "55P03", ofHeldStream: true)
        #expect(held.message == "another transaction held the stream until the deadline: no")
        let other = JournalError.refusedUntilDeadline("no", sqlState: "55P03")
        #expect(other.message == "a lock was not to be had by the deadline: no")
        let full = JournalError.refusedUntilDeadline("no", sqlState: "53100", by: "db:5432", ofHeldStream: true)
        #expect(full.message == "db:5432 refused until the deadline: no")
        for (error, state) in [(held, "55P03"), (other, "55P03"), (full, "53100")] {
            #expect(error.code == .unreachable)
            #expect(error.sqlState == state)
        }
    }

    @Test("a read that a table's lock keeps waiting does not say that a stream was held", .timeLimit(.minutes(10)))
    func tableLock() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                let database = try await sql.value("select current_database()")
                try await sql.run("alter database \(database) set lock_timeout = '1ms'")
                let options = Link.Options(.quiet(url), try SchemaName("durable_streams"))
                let requester = Requester(options)
                defer { requester.close() }
                _ = try await requester.open(within: .seconds(600))
                try await sql.run("begin")
                try await sql.run("lock table durable_streams.migrations in access exclusive mode")
                let error = await thrown {
                    try await requester.request([(options.statements.schemaVersion, .init())], within: .seconds(10))
                }
                #expect(error?.code == .unreachable)
                #expect(error?.message.contains("held the stream") == false, "\(error?.message ?? "")")
                #expect(error?.sqlState == "55P03")
            }
        }
    }
}
