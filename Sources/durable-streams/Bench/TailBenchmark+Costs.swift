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
        let before = try await transactions()
        let begin = ContinuousClock.now
        try await Task.sleep(for: .seconds(max(40, seconds)))
        let count = try await transactions() - before
        let elapsed = (ContinuousClock.now - begin) / .seconds(1)
        return TailBenchmarkRow(
            name: "\(tails) idle tails, \(polls ? "polling" : "listening")",
            figures: [
                ("memoryPerTailBytes", Double(memory.ready - memory.base) / Double(tails)),
                ("seconds", elapsed), ("transactions", Double(count)),
                ("transactionsPerSecond", Double(count) / elapsed),
            ]
        )
    }

    private func transactions() async throws -> Int {
        let query = "select xact_commit from pg_stat_database where datname = current_database()"
        return try await Floor.integer(query, on: databaseURL)
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
        return try await TailBenchmarkRow.inTurn(rounds, ratiosOf: ["eventsPerSecond"]) {
            let figures = try await Floor.run { floor_copy(databaseURL, query) }
            try Floor.check(figures.error)
            return TailBenchmarkRow(
                name: "floor: COPY of \(figures.rows) events",
                figures: [("eventsPerSecond", Double(figures.rows) / figures.seconds)]
            )
        } ours: {
            try await catchUp(prefix, count: count)
        }
    }

    /// From the opening of the tail, in a process of its own, to the last event.
    private func catchUp(_ prefix: String, count: Int) async throws -> TailBenchmarkRow {
        let reader = try await TailBenchmarkReader(self, prefix: prefix, tails: 1, sample: count - 1)
        defer { reader.kill() }
        let report = try await reader.report()
        guard report.count == count, let last = report.delivered[0]?[count - 1] else {
            throw BenchmarkError(description: "catching up: \(report.count) of \(count) events came")
        }
        return TailBenchmarkRow(
            name: "a tail that catches up with \(count) events",
            figures: [
                ("eventsPerSecond", Double(count) / (Double(last - report.opened) / 1e9)),
                ("memoryMaxMiB", Double(report.memoryPeak) / 1_048_576),
            ]
        )
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
