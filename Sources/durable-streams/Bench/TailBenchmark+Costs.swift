import LibPQFloor
import PostgresStreams
import TisynStreams

/// What tails cost: idle ones, and one that catches up.
extension TailBenchmark {
    // MARK: Idle

    /// What tails cost that have nothing to do: memory, and transactions of the server.
    func idle(_ journal: Journal, tails: Int, polls: Bool) async throws -> TailBenchmarkRow {
        let (reader, memory) = try await start(journal, prefix: prefix(), tails: tails, polls: polls)
        defer { reader.kill() }
        // What the opening of so many tails left is written down by the server some seconds later.
        try await Task.sleep(for: .seconds(15))
        let before = await transactions()
        let begin = ContinuousClock.now
        try await Task.sleep(for: .seconds(max(40, seconds)))
        let count = await transactions() - before
        let elapsed = (ContinuousClock.now - begin) / .seconds(1)
        return TailBenchmarkRow(
            name: "\(tails) idle tails, \(polls ? "polling" : "listening")",
            figures: [
                ("memoryPerTailBytes", Double(memory.ready - memory.base) * 1024 / Double(tails)),
                ("seconds", elapsed), ("transactions", Double(count)),
                ("transactionsPerSecond", Double(count) / elapsed),
            ]
        )
    }

    private func transactions() async -> Int {
        await Floor.run {
            floor_integer(
                databaseURL,
                "select xact_commit from pg_stat_database where datname = current_database()"
            )
        }
    }

    // MARK: Catching up

    /// A tail from the start of a stream of `count` events, beside COPY of the same rows.
    func catchUp(_ journal: Journal, count: Int) async throws -> [TailBenchmarkRow] {
        let prefix = prefix()
        try await fill(prefix + "0", count: count)
        let columns = "e.position, e.recorded_at, e.token, e.kind, e.coroutine_id, e.event"
        let query = """
            select \(columns) from \(quotedSchema).events e
            where e.stream_id = (select id from \(quotedSchema).streams where name = '\(prefix)0') order by e.position
            """
        var floors: [TailBenchmarkRow] = []
        var ours: [TailBenchmarkRow] = []
        for _ in 0..<rounds {
            let figures = await Floor.run { floor_copy(databaseURL, query) }
            try Floor.check(figures.error)
            floors.append(
                TailBenchmarkRow(
                    name: "floor: COPY of \(figures.rows) events",
                    figures: [("eventsPerSecond", Double(figures.rows) / figures.seconds)]
                )
            )
            let reader = try TailBenchmarkReader(self, prefix: prefix, tails: 1, sample: count - 1, watchesMemory: true)
            let report = try await reader.report()
            let times = report.delivered[0] ?? [:]
            guard report.count == count, let first = times[0], let last = times[count - 1] else {
                throw BenchmarkError(description: "catching up: \(report.count) of \(count) events came")
            }
            ours.append(
                TailBenchmarkRow(
                    name: "a tail that catches up with \(count) events",
                    figures: [
                        ("eventsPerSecond", Double(count) / (Double(last - first) / 1e9)),
                        ("memoryMaxMiB", Double(report.memory.max() ?? 0) / 1024),
                    ]
                )
            )
        }
        return TailBenchmarkRow.medians(floors, ours, ratiosOf: ["eventsPerSecond"])
    }

    private func fill(_ name: String, count: Int) async throws {
        let inserts = Floor.chunks(of: count).map { range in
            """
            insert into \(quotedSchema).events
            select s.id, n, now(), gen_random_uuid(), (case when n = \(count - 1) then 'c' else 'y' end)::"char",
                case when n = \(count - 1) then 'root' else 'root.0' end, '\(AppendBenchmark.eventText)'
            from \(quotedSchema).streams s, generate_series(\(range.lowerBound), \(range.upperBound - 1)) n
            where s.name = '\(name)'
            """
        }
        try await Floor.execute(
            ["insert into \(quotedSchema).streams (name) values ('\(name)')"] + inserts
                + ["vacuum (analyze) \(quotedSchema).events"],
            on: databaseURL
        )
    }
}
