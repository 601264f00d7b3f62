import ArgumentParser
import PostgresStreams

/// `bench append`: appends per second and how long one takes, in schemas of its own that it removes.
struct AppendBenchmarkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "append",
        abstract: "Measure appends.",
        discussion: """
            Floors, over bare libpq: (a) one INSERT per commit, a connection per writer; (b) one INSERT of 64 events per \
            commit, over one connection, each for another stream, or all for one where ours writes one. Ours: one process, one journal, default settings, durable commits, each append \
            awaited, events of about 330 bytes. Floor and ours are measured in turn, --rounds times; medians count.

              durable-streams bench append
              durable-streams bench append --rows single writers --rounds 9 --json
              durable-streams bench append --rows big --table-events 1000000
              durable-streams bench append --rows single writers paced --round-trip 2

            Rows: single (1 writer, against a), writers (against b), these two also with their tasks on the journal's thread; \
            tailed (the writers with a tail open on every stream, against without), paced (the writers at random times, --rate \
            appends a second, against a at the same rate: p50 counts), batches (1 writer, 1,000 events each, \
            against b), big (1 writer on a long stream of a big table, against an empty one), processes (two with half of \
            the writers each, against one with all), slow (the writers where a commit takes 2 ms, against b there; needs a \
            superuser), tool (append STREAM < file as a process, against b).

            With --round-trip all goes through one process, which has enough to do with a connection for each of many \
            writers: at thousands of appends a second (a) is slowed down by that.

            Without a database URL it starts a private PostgreSQL server and removes it. With one each row has a schema of \
            its own there, created and dropped: the role needs CREATE on the database.

            With --json a line per row: {"name","appendsPerSecond","p50","p99","cpu","ratio","p50Ratio"}; p50 and p99 in \
            microseconds per call, cpu in microseconds of this process per event; the ratios are ours ÷ the floor's.
            """
    )

    @OptionGroup var options: BenchmarkOptions
    @OptionGroup var timing: BenchmarkTiming

    @Option(parsing: .unconditional, help: ArgumentHelp("How many tasks append at the same time.", valueName: "n"))
    var writers = 64

    @Option(parsing: .unconditional, help: ArgumentHelp("Over how many streams.", valueName: "n"))
    var streams = 64

    @Option(parsing: .unconditional, help: ArgumentHelp("How many appends a second row paced makes.", valueName: "n"))
    var rate = 2000.0

    @Option(
        name: .customLong("table-events"),
        parsing: .unconditional,
        help: ArgumentHelp("How many events the table of row big has; its stream has a tenth.", valueName: "n")
    )
    var tableEvents = 10_000_000

    @Option(
        name: .customLong("file-events"),
        parsing: .unconditional,
        help: ArgumentHelp("How many events the file of row tool has.", valueName: "n")
    )
    var fileEvents = 1_000_000

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("What to measure; without it all there is.", valueName: "row")
    )
    var rows: [Row] = []

    enum Row: String, CaseIterable, ExpressibleByArgument {
        case single, writers, paced, tailed, batches, big, processes, slow, tool
    }

    func validate() throws {
        guard (2...10_000).contains(writers), (1...100_000).contains(streams) else {
            throw ValidationError("--writers takes 2 to 10,000, --streams 1 to 100,000")
        }
        guard (1...1_000_000).contains(rate) else { throw ValidationError("--rate takes 1 to 1,000,000") }
        guard (10_000...1_000_000_000).contains(tableEvents), (1...100_000_000).contains(fileEvents) else {
            throw ValidationError("--table-events takes 10,000 to 1,000,000,000, --file-events 1 to 100,000,000")
        }
    }

    func run() async throws {
        try await options.withDatabase { configuration in
            if !options.json { try await Output.standard.write(Array(BenchmarkRow.header.utf8)) }
            for row in Row.allCases where rows.isEmpty || rows.contains(row) {
                do {
                    // Each begins with an empty table.
                    let rows = try await withOwnSchema(for: "bench", configuration, isLasting: options.isLasting) {
                        try await measure(row, $0)
                    }
                    try await options.show(rows)
                } catch let error where row == .slow && rows.isEmpty {
                    // It needs a server that can be slow, and one who may make it so.
                    guard error is JournalError || error is BenchmarkError else { throw error }
                    StandardError.say("row slow is left out: \(error)")
                }
            }
        }
    }

    private func measure(_ row: Row, _ configuration: JournalConfiguration) async throws -> [BenchmarkRow] {
        let benchmark = AppendBenchmark(
            configuration: configuration,
            writers: writers,
            streams: streams,
            seconds: timing.seconds,
            rounds: timing.rounds
        )
        return switch row {
        case .single: try await benchmark.single()
        case .writers: try await benchmark.manyWriters()
        case .paced: try await benchmark.paced(rate: rate)
        case .tailed: try await benchmark.tailed()
        case .batches: try await benchmark.batches()
        case .big: try await benchmark.bigTable(events: tableEvents)
        case .processes: try await benchmark.processes()
        case .slow: try await benchmark.slow()
        case .tool: try await benchmark.tool(events: fileEvents)
        }
    }
}
