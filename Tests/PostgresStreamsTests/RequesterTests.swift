import PostgresStreams
import Testing
import TisynStreams

/// Statements that are repeated: over lost connections, and where they were refused for a reason that passes.
@Suite("Requests", .serialized, .timeLimit(.minutes(10)))
struct RequesterTests {
    @available(macOS 26, *)
    @Test("those that are lost together are sent again in the order they came")
    func orderAfterLoss() async throws {
        try await withTestJournal(.with { $0.readDeadline = .seconds(240) }) { journal in
            let stream = try journal.stream("s")
            _ = try await stream.claim()
            let url = journal.configuration.databaseURL
            try await withSQL(url) { sql in
                try await replaceClaim(sql, by: "if attempt < 2 then perform pg_sleep(600); end if;")
                // Each answers the epoch that it raised the stream to, and so its turn.
                let claims = (0..<6).map { _ in Task.immediate { try await stream.claim().epoch } }
                try await until { try await sql.integer("select count(*) \(Self.asleep)") == 1 }
                try await sql.run("select pg_terminate_backend(pid, 5000) \(Self.asleep)")
                for (number, claim) in claims.enumerated() { #expect(try await claim.value == number + 2) }
            }
        }
    }

    private static let asleep = "from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"

    @Test("one over which the server loses its connection again and again does not keep the others waiting")
    func killer() async throws {
        guard #available(macOS 26, *) else { return }
        try await withTestJournal { journal in
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await replaceClaim(
                    sql,
                    by: """
                        if p_stream = 'killer' then
                            perform pg_terminate_backend(pg_backend_pid());
                            perform pg_sleep(10);
                        end if;
                        """
                )
                let killer = Task.immediate { await thrown { try await journal.stream("killer").claim() } }
                let others = (0..<6).map { n in Task.immediate { try await journal.stream("s\(n)").claim().epoch } }
                for other in others { #expect(try await other.value == 1) }
                killer.cancel()
                #expect(await killer.value?.code == .cancelled)
            }
        }
    }

    @Test("a claim that was cancelled on the wire is not repeated when that is lost")
    func cancelledOnTheWire() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await replaceClaim(sql, by: "if attempt < 2 then perform pg_sleep(600); end if;")
                let claim = Task { await thrown { try await stream.claim() } }
                try await until { try await sql.integer("select count(*) \(Self.asleep)") == 1 }
                claim.cancel()
                #expect(await claim.value?.code == .cancelled)
                try await sql.run("select pg_terminate_backend(pid, 5000) \(Self.asleep)")
                #expect(try await stream.claim().epoch == 1)
            }
        }
    }

    @Test("a claim that is refused for now and then cancelled is not sent again")
    func cancelledAtRest() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await replaceClaim(sql, by: "raise 'not now' using errcode = '53200';")
                let claim = Task { await thrown { try await stream.claim() } }
                let attempts = "select last_value from attempts"
                try await until { try await sql.integer(attempts) >= 3 }
                claim.cancel()
                #expect(await claim.value?.code == .cancelled)
                let count = try await sql.integer(attempts)
                // Long enough for two more.
                try await sql.run("select pg_sleep(1.5)")
                // One may have been on the wire.
                #expect(try await sql.integer(attempts) <= count + 1)
            }
        }
    }

    @Test(
        "a claim that was cancelled while there was no connection is not made when there is one",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
    )
    func cancelledBeforeSending() async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            let proxy = try WireProxy(to: server.port)
            defer { proxy.close() }
            let database = try await withSQL(url) { try await $0.value("select current_database()") }
            let proxied =
                "postgresql://postgres:\(server.password)@127.0.0.1:\(proxy.port)/\(database)?sslmode=disable"
                + "&gssencmode=disable"
            try await withJournal(.with(proxied) { $0.readDeadline = .seconds(240) }) { journal in
                let stream = try journal.stream("s")
                proxy.refuse(true)
                proxy.endConnections()
                let claim = Task { await thrown { try await stream.claim() } }
                // Cancelled before it began, or after.
                for _ in 0..<100 { await Task.yield() }
                claim.cancel()
                #expect(await claim.value?.code == .cancelled)
                proxy.refuse(false)
                #expect(try await stream.claim().epoch == 1)
            }
        }
    }

    /// Puts a function in the place of `claim`, that first does this; `attempt` is the number of the call.
    private func replaceClaim(_ sql: SQLSession, by body: String) async throws {
        try await sql.run("create sequence attempts")
        try await sql.run("alter function durable_streams.claim set schema public")
        try await sql.run(
            """
            create function durable_streams.claim(p_stream text, p_durability text, out epoch bigint, out "position" bigint)
            language plpgsql as $$
            declare
                attempt bigint := nextval('public.attempts');
            begin
                \(body)
                select c.epoch, c.position into epoch, "position"
                from public.claim(p_stream, p_durability) c;
            end
            $$
            """
        )
    }

    @Test(
        "what is refused for a reason that passes is sent again, each time later than the last",
        arguments: ["40001", "40P01", "55P03", "57014", "53200", "58030", "25006", "26000"]
    )
    func refusedForNow(sqlState: String) async throws {
        try await withTestJournal { journal in
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await replaceClaim(
                    sql,
                    by: "if attempt < 4 then raise 'not now' using errcode = '\(sqlState)'; end if;"
                )
                let begin = ContinuousClock.now
                #expect(try await journal.stream("s").claim().epoch == 1)
                #expect(try await sql.integer("select last_value from attempts") == 4)
                // After 25 and 50 ms at least, and after 100 where it was not sent elsewhere first.
                #expect(ContinuousClock.now - begin >= .milliseconds(75))
            }
        }
    }

    @Test(
        "what is refused until the deadline says why",
        arguments: [("53200", "refused until the deadline"), ("55P03", "another transaction held the stream until")]
    )
    func refusedUntilTheDeadline(_ state: String, _ what: String) async throws {
        try await withTestJournal(.with { $0.readDeadline = .seconds(3) }) { journal in
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await replaceClaim(sql, by: "raise 'no memory for this' using errcode = '\(state)';")
                var error: JournalError?
                // Again where the machine stood still for as long, and it was not refused even once.
                for _ in 0..<3 where error?.message.contains("no memory for this") != true {
                    error = await thrown { try await journal.stream("s").claim() }
                }
                #expect(error?.code == .unreachable)
                #expect(error?.message.contains("no memory for this") == true)
                #expect(error?.message.contains(what) == true)
            }
        }
    }

    @Test("prepared statements that are gone are done without")
    func deallocated() async throws {
        try await withTestJournal { journal in
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await replaceClaim(sql, by: "deallocate all;")
                for epoch in 1...3 { #expect(try await journal.stream("s").claim().epoch == epoch) }
            }
        }
    }

    @Test("a claim that waits for a lock keeps no read waiting")
    func readsPassClaims() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(.close("0", .cancelled))
            let url = journal.configuration.databaseURL
            try await withSQL(url) { holder in
                try await withSQL(url) { observer in
                    try await holder.run("begin")
                    try await holder.run("select pg_advisory_xact_lock(hashtextextended('durable_streams/s', 0))")
                    async let claiming = stream.claim()
                    for _ in 0..<2 {
                        try await until {
                            try await observer.integer(
                                """
                                select count(*) from pg_locks where not granted
                                    and database = (select oid from pg_database where datname = current_database())
                                """
                            ) == 1
                        }
                        #expect(try await stream.readAll().count == 1)
                    }
                    try await holder.run("commit")
                    #expect(try await claiming.position == 1)
                }
            }
        }
    }
}
