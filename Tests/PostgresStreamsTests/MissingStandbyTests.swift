import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// Commits that wait for a synchronous standby which is not there: they are on this server, and not acknowledged.
@Suite(
    "A synchronous standby that is missing",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "starts and stops servers")
)
struct MissingStandbyTests {
    private static let event = DurableEvent.close("root", .cancelled)

    /// What a test does with a server whose commits can be made to wait.
    private struct Setting {
        let server: PrivatePostgres
        let proxy: WireProxy
        let journal: Journal
        let sql: SQLSession

        func miss(_ isMissing: Bool) async throws {
            try await sql.run("alter system set synchronous_standby_names = '\(isMissing ? "nobody" : "")'")
            try await sql.run("select pg_reload_conf()")
            try await until { try await sql.value("show synchronous_standby_names") == (isMissing ? "nobody" : "") }
            if isMissing { try await untilCommitsWait() }
        }

        private static let trial = "trial"

        /// That they do is the checkpointer's to decide, when it gets to it, and nothing shows that it has.
        private func untilCommitsWait() async throws {
            try await withSQL(server.databaseURL) { commits in
                try await commits.run("set synchronous_commit = on")
                try await commits.run("set application_name = '\(Self.trial)'")
                let pid = try await commits.integer("select pg_backend_pid()")
                let task = Task {
                    while !Task.isCancelled {
                        _ = try? await commits.run("select pg_logical_emit_message(true, 'a', 'b')")
                    }
                }
                let wait = "from pg_stat_activity where pid = \(pid) and wait_event = 'SyncRep'"
                try await until { try await sql.integer("select count(*) \(wait)") == 1 }
                task.cancel()
                try await sql.run("select pg_cancel_backend(pid) \(wait)")
                await task.value
            }
        }

        /// Ends the wait of a commit for its standby, and sees that it is on this server then.
        func endWait(by function: String, until query: String, is value: Int) async throws {
            try await sql.run("select \(function) from pg_stat_activity where wait_event = 'SyncRep'")
            try await until { try await sql.integer(query) == value }
        }

        func untilWaiting(for event: String, _ count: Int = 1) async throws {
            let waiting = "wait_event = '\(event)' and application_name <> '\(Self.trial)'"
            try await until {
                try await sql.integer("select count(*) from pg_stat_activity where \(waiting)") == count
            }
        }
    }

    private func withSetting(
        _ change: ConfigurationChange,
        isolation: String = "read committed",
        _ body: (Setting) async throws -> Void
    ) async throws {
        try await withPrivatePostgres(.init(tcp: true)) { server in
            let proxy = try WireProxy(to: server.port)
            defer { proxy.close() }
            let url =
                "postgresql://postgres:\(server.password)@127.0.0.1:\(proxy.port)/postgres"
                + "?sslmode=disable&gssencmode=disable"
            try await Migrator(.quiet(url)).migrate()
            try await withSQL(server.databaseURL) { sql in
                try await sql.run("set synchronous_commit = local")
                try await sql.run("alter database postgres set default_transaction_isolation = '\(isolation)'")
                // What says that a wait was cancelled is a warning.
                try await sql.run("alter database postgres set client_min_messages = error")
                try await withJournal(.with(url, change.apply)) { journal in
                    try await body(Setting(server: server, proxy: proxy, journal: journal, sql: sql))
                }
            }
        }
    }

    @Test(
        "a transaction whose connection is lost while it commits is found, whatever the database's isolation is",
        arguments: ["read committed", "repeatable read", "serializable"],
        [false, true]
    )
    func lostCommit(isolation: String, isCancelled: Bool) async throws {
        try await withSetting(.with { $0.appendDeadline = .seconds(120) }, isolation: isolation) { setting in
            let stream = try setting.journal.stream("s")
            try await stream.append(Self.event)
            let journal = setting.journal
            let task = Task {
                try await journal.transaction { tx in
                    let position = try await tx.append(Self.event, to: stream)
                    try await setting.miss(true)
                    return position
                }
            }
            try await setting.untilWaiting(for: "SyncRep")
            if isCancelled { task.cancel() }
            setting.proxy.endConnections()
            // It is looked for, by one who waits until it is over.
            try await setting.untilWaiting(for: "advisory")
            try await setting.miss(false)
            #expect(try await task.value == 1)
            #expect(try await stream.readAll().count == 2)
        }
    }

    @Test(
        "an append whose commit was cut short is acknowledged when the standbys have it",
        arguments: ["pg_terminate_backend(pid, 60000)", "pg_cancel_backend(pid)"]
    )
    func cutShort(by end: String) async throws {
        try await withSetting(.with { $0.appendDeadline = .seconds(120) }) { setting in
            let stream = try setting.journal.stream("s")
            try await stream.append(Self.event)
            try await setting.miss(true)
            let task = Task { try await stream.append(Self.event) }
            try await setting.untilWaiting(for: "SyncRep")
            try await setting.endWait(by: end, until: "select count(*) from durable_streams.events", is: 2)
            // It is sent again, and found; and is not acknowledged before.
            try await setting.untilWaiting(for: "SyncRep")
            try await setting.miss(false)
            #expect(try await task.value == 1)
            #expect(try await stream.readAll().count == 2)
        }
    }

    @Test("an append whose commit waits is not sent again and again: each would leave a process that waits")
    func waitingOnly() async throws {
        try await withSetting(.with { $0.appendDeadline = .seconds(9) }) { setting in
            let stream = try setting.journal.stream("s")
            try await untilInTime { _ = try await stream.append(Self.event) }
            try await setting.miss(true)
            let error = await #expect(throws: JournalError.self) {
                _ = try await stream.append(Self.event)
            }
            #expect(error?.outcome == .unknown)
            try await setting.untilWaiting(for: "SyncRep")
            try await setting.miss(false)
        }
    }

    @Test("so is a transaction whose commit's wait was cancelled")
    func cancelledTransaction() async throws {
        try await withSetting(.with { $0.appendDeadline = .seconds(120) }) { setting in
            let stream = try setting.journal.stream("s")
            let journal = setting.journal
            let task = Task {
                try await journal.transaction { tx in
                    // As scripts do.
                    try await tx.query("set local client_min_messages = error")
                    let position = try await tx.append(Self.event, to: stream)
                    try await setting.miss(true)
                    return position
                }
            }
            try await setting.untilWaiting(for: "SyncRep")
            try await setting.endWait(
                by: "pg_cancel_backend(pid)",
                until: "select count(*) from durable_streams.events",
                is: 1
            )
            try await setting.untilWaiting(for: "SyncRep")
            try await setting.miss(false)
            #expect(try await task.value == 0)
            #expect(try await stream.readAll().count == 1)
        }
    }

    @Test("a claim whose commit's wait was cancelled claims again: a standby without it would let two have one epoch")
    func cancelledClaim() async throws {
        try await withSetting(.none) { setting in
            let stream = try setting.journal.stream("s")
            try await stream.append(Self.event)
            try await setting.miss(true)
            let task = Task { try await stream.claim() }
            try await setting.untilWaiting(for: "SyncRep")
            let epoch = "select epoch from durable_streams.streams"
            try await setting.endWait(by: "pg_cancel_backend(pid)", until: epoch, is: 1)
            try await setting.untilWaiting(for: "SyncRep")
            try await setting.miss(false)
            #expect(try await task.value.epoch == 2)
        }
    }

    @Test("a journal can be closed when more streams wait to be announced than a notification names")
    func manyUnannounced() async throws {
        try await withSetting(.with { $0.durability = .local }) { setting in
            try await setting.sql.run("create table t (n int)")
            try await setting.miss(true)
            let url = setting.server.databaseURL
            // Its commit holds the lock of all that notify while it waits for the standby.
            let holder = Task {
                try await withSQL(url) { sql in
                    try await sql.run("begin")
                    try await sql.run("set local synchronous_commit = on")
                    try await sql.run("insert into t values (1)")
                    try await sql.run("notify elsewhere")
                    try await sql.run("commit")
                }
            }
            try await setting.untilWaiting(for: "SyncRep")
            let journal = setting.journal
            try await journal.stream("first").append(Self.event)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for n in 0..<1000 {
                    group.addTask { _ = try await journal.stream("s\(n)").append(Self.event) }
                }
                try await group.waitForAll()
            }
            try await setting.miss(false)
            try await holder.value
            await journal.flush()
        }
    }
}
