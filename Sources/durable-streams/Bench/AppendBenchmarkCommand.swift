import ArgumentParser
import LibPQFloor
import PostgresStreams
import PrivatePostgres

/// `bench append`: appends per second and how long one takes, in a schema of its own that it removes.
struct AppendBenchmarkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "append",
        abstract: "Measure appends.",
        discussion: """
            Floors, over bare libpq: (a) one INSERT per commit, a connection per writer; (b) one INSERT of many events per \
            commit, over one connection. Ours: one process, one journal, default settings, durable commits, each append \
            awaited, events of about 330 bytes.

              durable-streams bench append
              durable-streams bench append --writers 16 --seconds 10 --json

            Without a database URL it starts a private PostgreSQL server and removes it. With one it works in a schema of \
            its own, which it creates and drops.

            With --json a line per row: {"name","appendsPerSecond","p50","p99","ratio","p50Ratio"}; p50 and p99 in \
            microseconds per call; the ratios are ours ÷ the floor's.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @Option(help: ArgumentHelp("How many tasks append at the same time.", valueName: "n"))
    var writers = 64

    @Option(help: ArgumentHelp("Over how many streams.", valueName: "n"))
    var streams = 64

    @Option(help: ArgumentHelp("How long each row is measured.", valueName: "seconds"))
    var seconds = 3.0

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("What to measure.", valueName: "row")
    )
    var rows: [Row] = Row.allCases

    enum Row: String, CaseIterable, ExpressibleByArgument { case single, writers, tailed, batches }

    @Flag(help: "Print each row as a JSON object.")
    var json = false

    func validate() throws {
        guard (1...10_000).contains(writers), (1...100_000).contains(streams) else {
            throw ValidationError("--writers takes 1 to 10,000, --streams 1 to 100,000")
        }
        guard seconds > 0, seconds <= 3600 else {
            throw ValidationError("--seconds takes more than 0 and at most 3,600")
        }
    }

    func run() async throws {
        if let url = connection.givenURL {
            try await measure(url)
        } else {
            try await withPrivatePostgres { server in try await measure(server.databaseURL) }
        }
    }

    private func measure(_ url: String) async throws {
        let schema = "durable_streams_bench_" + String(UInt32.random(in: .min ... .max), radix: 36)
        var configuration = connection.configuration
        configuration.databaseURL = url
        configuration.schema = schema
        configuration.writerConnections = JournalConfiguration().writerConnections
        let benchmark = AppendBenchmark(
            databaseURL: url,
            schema: schema,
            writers: writers,
            streams: streams,
            seconds: seconds
        )
        do {
            try await withJournal(configuration, migrate: true) { journal in try await rows(benchmark, journal) }
            try drop(schema, url)
        } catch {
            try drop(schema, url)
            throw error
        }
        try await Output.standard.finish()
    }

    private func rows(_ benchmark: AppendBenchmark, _ journal: Journal) async throws {
        if !json { try await Output.standard.write(Array(BenchmarkRow.header.utf8)) }
        let wanted = Set(rows)
        if wanted.contains(.single) {
            let floor = try await show(try await benchmark.floorSingle(writers: 1))
            try await show(await benchmark.append(journal, name: "1 writer", writers: 1, streams: 1, floor: floor))
        }
        guard wanted.contains(where: { $0 != .single }) else { return }
        if wanted.contains(.writers) { try await show(try await benchmark.floorSingle(writers: writers)) }
        let floor = try await show(try await benchmark.floorBatch(64))
        let name = "\(writers) writers on \(streams) streams"
        if wanted.contains(.writers) || wanted.contains(.tailed) {
            let plain = try await show(
                await benchmark.append(journal, name: name, writers: writers, streams: streams, floor: floor)
            )
            if wanted.contains(.tailed) {
                try await show(
                    await benchmark.appendTailed(
                        journal,
                        name: name + ", all tailed",
                        writers: writers,
                        streams: streams,
                        without: plain
                    )
                )
            }
        }
        if wanted.contains(.batches) {
            try await show(await benchmark.appendBatches(journal, of: 1000, floor: floor))
        }
    }

    @discardableResult
    private func show(_ row: BenchmarkRow) async throws -> BenchmarkRow {
        try await Output.standard.write(Array((json ? row.json : row.line).utf8))
        return row
    }

    private func drop(_ schema: String, _ url: String) throws {
        let error = String(
            cString: floor_execute(url, "set client_min_messages = error; drop schema if exists \(schema) cascade")
        )
        if !error.isEmpty { throw ToolError(.unavailable, "schema \(schema) could not be dropped: \(error)") }
    }
}
