import PostgresStreams
import PrivatePostgres
import Synchronization
import Testing
import TisynStreams

/// Connections and servers that go away in the middle of work.
@Suite("Faults", .serialized, .timeLimit(.minutes(10)))
struct FaultTests {
    /// Ours are told by their name from those of a test.
    private static let victims = """
        from pg_stat_activity where datname = current_database() and application_name = 'durable-streams'
        """

    /// Nothing in these tests may fail because the machine is slow.
    private func patient(_ url: String) -> JournalConfiguration {
        var configuration = JournalConfiguration.quiet(url)
        configuration.appendDeadline = .seconds(500)
        configuration.readDeadline = .seconds(500)
        return configuration
    }

    private func withJournals(
        _ count: Int,
        _ url: String,
        _ body: (_ writing: [Journal], _ tailing: Journal) async throws -> Void,
        writing: [Journal] = []
    ) async throws {
        try await withJournal(patient(url)) { journal in
            guard writing.count == count else {
                return try await withJournals(count, url, body, writing: writing + [journal])
            }
            try await body(writing, journal)
        }
    }

    @Test("backends that are terminated at random cost no event, add none and move none")
    func terminatedBackends() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { killer in
                try await withJournals(3, url) { writing, tailing in
                    let workload = Workload(
                        appendsPerWriter: 150,
                        appendsPerFault: 40,
                        writing: writing,
                        tailing: tailing
                    )
                    try await workload.run { n in
                        // Mostly one, now and then everybody.
                        let limit = n.isMultiple(of: 7) ? "all" : "1"
                        try await killer.run(
                            """
                            select pg_terminate_backend(pid) from (
                                select pid \(Self.victims) order by random() limit \(limit)) v
                            """
                        )
                    }
                }
            }
        }
    }

    @Test("backends that are cancelled at random cost nothing either")
    func cancelledBackends() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { killer in
                try await withJournals(2, url) { writing, tailing in
                    let workload = Workload(
                        appendsPerWriter: 60,
                        appendsPerFault: 10,
                        writing: writing,
                        tailing: tailing
                    )
                    try await workload.run { _ in try await killer.run("select pg_cancel_backend(pid) \(Self.victims)")
                    }
                }
            }
        }
    }

    @Test(
        "a server that is stopped or killed in the middle costs no event, adds none and moves none",
        .enabled(if: TestServer.isPrivate, "stops the server")
    )
    func restartedServer() async throws {
        try await withPrivatePostgres { server in
            let url = server.databaseURL
            try await Migrator(.quiet(url)).migrate()
            try await withJournals(2, url) { writing, tailing in
                let workload = Workload(appendsPerWriter: 100, appendsPerFault: 400, writing: writing, tailing: tailing)
                try await workload.run { n in
                    switch n % 3 {
                    case 0: try await server.restart(mode: .immediate)
                    case 1:
                        await server.kill()
                        try await server.start()
                    default: try await server.restart(mode: .fast)
                    }
                }
            }
        }
    }

    @Test(
        "with the server down an append that was not sent ends at its deadline as not written, and the journal recovers",
        .enabled(if: TestServer.isPrivate, "stops the server")
    )
    func serverDown() async throws {
        try await withPrivatePostgres { server in
            var configuration = JournalConfiguration.quiet(server.databaseURL)
            configuration.appendDeadline = .milliseconds(500)
            configuration.readDeadline = .milliseconds(500)
            try await withJournal(configuration, migrate: true) { journal in
                let stream = try journal.stream("s")
                await server.stop(mode: .immediate)
                let appended = await thrown { try await stream.append(.close("lost", .cancelled)) }
                #expect(appended?.code == .unreachable)
                #expect(appended?.outcome == .notWritten)
                let read = await thrown { try await stream.readAll() }
                #expect(read?.code == .unreachable)
                try await server.start()
                var position: Int?
                var attempts = 0
                try await until {
                    attempts += 1
                    position = try await outcome { try await stream.append(.close("back", .cancelled)) }.success
                    return position != nil
                }
                var ids: [CoroutineID]?
                try await until {
                    ids = try await outcome { try await stream.readAll().map(\.coroutineID) }.success
                    return ids != nil
                }
                // One that ended at its deadline may have been written, even behind the last: only a slow server has more than
                // one.
                let there = try #require(ids)
                #expect(there.allSatisfy { $0 == "back" }, "\(there)")
                #expect(there.count > (try #require(position)))
                #expect(there.count <= attempts)
            }
        }
    }

    @Test(
        "a server that crashes with an append under way is found to have it or not, and resolve says which",
        .enabled(if: TestServer.isPrivate, "stops the server")
    )
    func crashUnderWay() async throws {
        try await withPrivatePostgres { server in
            let url = server.databaseURL
            // By another journal: this one's appends then go by the function, whose time-out for locks we can change.
            try await withJournal(.quiet(url), migrate: true) { other in
                _ = try await other.stream("s").append(.close("before", .cancelled))
            }
            try await withJournal(.with(url) { $0.appendDeadline = .seconds(5) }) { journal in
                let stream = try journal.stream("s")
                let observer = try await SQLSession(url)
                let holder = try await SQLSession(url)
                // Refused after a second, it would not be under way until it is sent again.
                try await holder.letAppendsWait()
                try await holder.run("begin")
                try await holder.run("lock table durable_streams.events in exclusive mode")
                func isWaiting() async throws -> Bool {
                    try await observer.integer("select count(*) \(Self.victims) and wait_event_type = 'Lock'") > 0
                }
                var late: Task<JournalError?, Never>
                var isUnsent: Bool
                repeat {
                    let isOver = Mutex(false)
                    late = Task {
                        defer { isOver.withLock { $0 = true } }
                        return await thrown { try await stream.append(.close("late", .cancelled)) }
                    }
                    try await until { try await isWaiting() || isOver.withLock { $0 } }
                    // Given up before it was sent, on a slow machine: then another one. What was sent waits, given up or not.
                    isUnsent = isOver.withLock { $0 }
                    if isUnsent { isUnsent = await late.value?.outcome == .notWritten }
                } while isUnsent
                try await until { try await isWaiting() }
                await server.stop(mode: .immediate)
                let error = await late.value
                #expect(error?.code == .unreachable)
                #expect(error?.outcome == .unknown)
                try await server.start()
                let receipt = try #require(error?.receipt)
                #expect(try await journal.resolve(receipt) == .notWrittenYet)
                #expect(try await stream.readAll().map(\.coroutineID) == ["before"])
            }
        }
    }
}

extension Result {
    var success: Success? { try? get() }
}
