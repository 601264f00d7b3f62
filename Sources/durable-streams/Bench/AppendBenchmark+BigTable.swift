import PostgresStreams

/// One writer on a long stream of a big table, beside one on a table that is all but empty.
extension AppendBenchmark {
    /// - Parameter events: how many the table holds; a tenth of them are the stream's that is appended to.
    func bigTable(events: Int) async throws -> [BenchmarkRow] {
        let long = try StreamName("bench/big/0")
        return try await withOwnSchema(for: "bench", configuration) { big in
            try await fill(big, events: events)
            return try await withJournal(configuration) { empty in
                try await withJournal(big) { full in
                    try await rows([
                        BenchmarkTurn("1 writer, empty table") {
                            try await append(empty, writers: 1, to: Self.newStreams(1))
                        },
                        BenchmarkTurn("1 writer, stream of \(events / 10) in \(events)", against: 0) {
                            try await append(full, writers: 1, to: [long])
                        },
                    ])
                }
            }
        }
    }

    /// A long stream and as many of 1,000 events as it takes, by SQL: what is measured comes after.
    private func fill(_ big: JournalConfiguration, events: Int) async throws {
        StandardError.say("filling a table with \(events) events")
        let length = events / 10
        let schema = "\"\(big.schema)\""
        let streams = """
            insert into \(schema).streams (name)
            select 'bench/big/' || n from generate_series(0, \((events - length + 999) / 1000)) n
            """
        // Of all events the first are the long stream's; in parts, so that it can be given up.
        let inserts = Floor.chunks(of: events).map { range in
            """
            set synchronous_commit = off;
            insert into \(schema).events (stream_id, position, recorded_at, token, kind, coroutine_id, event)
            select s.id, e.position, now(), gen_random_uuid(), 'y', 'root.0', '\(Self.eventText)'
            from generate_series(\(range.lowerBound), \(range.upperBound - 1)) n,
                lateral (select case when n < \(length) then 0 else 1 + (n - \(length)) / 1000 end as stream,
                    case when n < \(length) then n else (n - \(length)) % 1000 end as position) e
                join \(schema).streams s on s.name = 'bench/big/' || e.stream
            """
        }
        // Or the server would do it while we measure.
        let vacuum = "vacuum (analyze) \(schema).events"
        try await Floor.execute([streams] + inserts + [vacuum], on: big.databaseURL)
        // Only some roles may; without it the server writes for some time.
        try? await Floor.execute(["checkpoint"], on: big.databaseURL)
    }
}
