import LibPQFloor
import PostgresStreams
import TisynStreams

/// What many processes that tail cost those who write: each NOTIFY wakes all of them.
extension TailBenchmark {
    /// A NOTIFY while nobody listens, while so many sessions of one thread do, so many bare processes, and so many processes
    /// that tail. Held against the bare processes, which take turns with ours.
    func processes(_ journal: Journal, count: Int) async throws -> [TailBenchmarkRow] {
        let alone = try await notify("floor: NOTIFY, nobody listens")
        let sessions = try await notify("floor: NOTIFY, \(count) sessions of one thread listen", sessions: count)
        let prefix = prefix()
        try await journal.stream("\(prefix)0").append(try DurableEvent(AppendBenchmark.eventText))
        let rows = try await TailBenchmarkRow.inTurn(rounds, ratiosOf: ["notifiesPerSecond"]) {
            try await whileListening(count)
        } ours: {
            try await whileTailing(count, prefix)
        }
        return [alone, sessions] + rows
    }

    private func whileListening(_ count: Int) async throws -> TailBenchmarkRow {
        try await untilGone()
        return try await withListeners(count) { try await notify("floor: NOTIFY, \(count) bare processes listen") }
    }

    /// Runs `body` while so many bare processes listen.
    private func withListeners<R>(_ count: Int, _ body: () async throws -> R) async throws -> R {
        var listeners: [ToolChildProcess] = []
        defer { for listener in listeners { listener.kill() } }
        for _ in 0..<count {
            let arguments = ["bench", "listener-floor", "--schema", configuration.schema]
            listeners.append(try await ToolChildProcess(arguments, databaseURL: databaseURL, input: .lines))
        }
        for listener in listeners {
            // Its one line says that it listens.
            guard try await listener.lines.next() != nil else {
                throw BenchmarkError(description: "a listener ended early: \(await listener.end)")
            }
        }
        return try await body()
    }

    private func whileTailing(_ count: Int, _ prefix: String) async throws -> TailBenchmarkRow {
        try await untilGone()
        var readers: [TailBenchmarkReader] = []
        defer { for reader in readers { reader.kill() } }
        for _ in 0..<count { readers.append(try await TailBenchmarkReader(self, prefix: prefix, tails: 1)) }
        for reader in readers { _ = try await reader.ready() }
        return try await notify("NOTIFY, \(count) processes tail")
    }

    /// Sessions of processes that have ended, or were killed, go when the server notices; all of ours bear the schema's name.
    func untilGone() async throws {
        let query = """
            select count(*) from pg_stat_activity
            where datname = current_database() and application_name = '\(configuration.schema)'
            """
        let end = ContinuousClock.now + .seconds(10)
        while case let count = try await Floor.integer(query, on: databaseURL), count > 0 {
            guard ContinuousClock.now < end else {
                throw BenchmarkError(description: "\(count) sessions of processes that have ended do not go")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func notify(_ name: String, sessions: Int = 0) async throws -> TailBenchmarkRow {
        // Named like a stream that nobody tails.
        let figures = try await Floor.run {
            floor_notify(databaseURL, configuration.schema, "0123456789abcdef", Int32(sessions), seconds)
        }
        try Floor.check(figures.error)
        return TailBenchmarkRow(
            name: name,
            figures: [("notifiesPerSecond", figures.notifies_per_second), ("p50", figures.p50_microseconds)]
        )
    }
}
