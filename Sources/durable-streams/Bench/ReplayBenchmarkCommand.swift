import ArgumentParser
import PostgresStreams
import PrivatePostgres
import TisynStreams

/// `bench replay`: how fast a stream is indexed and replayed.
struct ReplayBenchmarkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Measure replay.",
        discussion: """
            Floors, over bare libpq, of the columns that the index reads: COPY in binary format into nothing, and single-row \
            mode. Ours: the first answer from a new index, the whole index, every entry parsed. What reads the whole stream \
            is measured in turn with the floors, --rounds times; medians count, and the ratios, to COPY, are those within a \
            round.

              durable-streams bench replay --events 1000000 --coroutines 100
              durable-streams bench replay --stream orders/17

            Without a database URL it starts a private PostgreSQL server and removes it. With one it works in a schema of \
            its own, which it creates and drops: the role needs CREATE on the database. With --stream it reads that stream and \
            writes nothing.

            With --json a line per row: {"name","milliseconds","eventsPerSecond","cpu","ratio","memoryBytes"}; cpu in \
            microseconds of this process per event; the memory is what the process occupied at most beyond what it did \
            before the row.
            """
    )

    @OptionGroup var options: BenchmarkOptions

    @Option(parsing: .unconditional, help: ArgumentHelp("How many events the stream has.", valueName: "n"))
    var events = 1_000_000

    @Option(parsing: .unconditional, help: ArgumentHelp("Over how many coroutines they are spread.", valueName: "n"))
    var coroutines = 100

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How often the stream is read for each row; medians count.", valueName: "n")
    )
    var rounds = 5

    @Option(
        help: ArgumentHelp("A stream to read instead.", valueName: "name"),
        transform: StreamArgument.name
    )
    var stream: StreamName?

    func validate() throws {
        guard (1...100_000_000).contains(events), (1...1_000_000).contains(coroutines) else {
            throw ValidationError("--events takes 1 to 100,000,000, --coroutines 1 to 1,000,000")
        }
        guard (1...100).contains(rounds) else { throw ValidationError("--rounds takes 1 to 100") }
    }

    func run() async throws {
        if let stream {
            let configuration = options.connection.configuration
            try await rows(ReplayBenchmark(configuration: configuration, stream: stream), isOurs: false)
        } else {
            try await options.withDatabase { try await measure($0) }
        }
    }

    private func measure(_ configuration: JournalConfiguration) async throws {
        try await withOwnSchema(for: "bench", configuration, isLasting: options.isLasting) { configuration in
            try await fill(configuration.schema, configuration.databaseURL)
            let stream = try StreamName("bench/replay")
            try await rows(ReplayBenchmark(configuration: configuration, stream: stream), isOurs: true)
        }
    }

    private func rows(_ benchmark: ReplayBenchmark, isOurs: Bool) async throws {
        if !isOurs { try await checkEvents(of: benchmark) }
        if !options.json { try await Output.standard.write(Array(ReplayBenchmarkRow.header.utf8)) }
        try await withJournal(benchmark.configuration) { journal in
            // First what must be fast in a process that has just begun.
            try await show(await benchmark.firstYield(journal))
            try await show(await benchmark.roundTrip(journal))
            try await show(await benchmark.memory(journal))
            let ids = try await journal.stream(benchmark.stream).replayIndex().coroutineIDs()
            try await options.show(benchmark.wholeStream(journal, of: ids, rounds: rounds))
            try await show(await benchmark.hasClose(journal, of: ids))
            if isOurs { try await show(await benchmark.smallStream(journal)) }
        }
    }

    /// Over a connection of its own: what is measured begins with one that has read nothing.
    private func checkEvents(of benchmark: ReplayBenchmark) async throws {
        var configuration = benchmark.configuration
        configuration.pageSize = 1
        try await withJournal(configuration) { journal in
            var events = journal.stream(benchmark.stream).read().makeAsyncIterator()
            guard try await events.next() != nil else {
                throw ToolError(.usage, "stream \(benchmark.stream) has no events")
            }
        }
    }

    private func show(_ row: ReplayBenchmarkRow) async throws { try await options.show([row]) }

    // MARK: The stream

    /// Yields of all coroutines in turn; at the end every other one closes. Many in a statement, as what is measured is
    /// reading; not all, so that it can be given up.
    private func fill(_ schema: String, _ url: String) async throws {
        try await Floor.execute(["insert into \(schema).streams (name) values ('bench/replay')"], on: url)
        for range in Floor.chunks(of: events) { try await fill(range, schema, url) }
        try await Floor.execute(["vacuum analyze \(schema).events"], on: url)
    }

    private func fill(_ range: Range<Int>, _ schema: String, _ url: String) async throws {
        try await Floor.execute(
            [
                """
                set synchronous_commit = off;
                insert into \(schema).events (stream_id, position, recorded_at, token, kind, coroutine_id, event)
                select s.id, n, now(), '00000000-0000-4000-8000-000000000000', k.kind, c.id,
                    (case k.kind when 'y'
                        then '{"type":"yield","coroutineId":"' || c.id || '","description":{"type":"fraud-detector",'
                            || '"name":"fraudCheck","input":{"userId":"u-123","amount":' || n || '},'
                            || '"sha":"8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"},'
                            || '"result":{"status":"ok","value":{"score":0.25,"reasons":["new-device","amount"],'
                            || '"checks":{"geo":1,"velocity":[1,2,3]}}}}'
                        else '{"type":"close","coroutineId":"' || c.id || '","result":{"status":"ok"}}' end)::json
                from \(schema).streams s, generate_series(\(range.lowerBound), \(range.upperBound - 1)) n,
                    lateral (select case n % \(coroutines) when 0 then 'root' else 'root.' || n % \(coroutines) end as id) c,
                    lateral (select (case when n >= \(events - coroutines) and n % 2 = 1 then 'c' else 'y' end)::"char"
                        as kind) k;
                """
            ],
            on: url
        )
    }
}
