import ArgumentParser
import PostgresStreams
import PrivatePostgres
import Synchronization

/// `bench memory`: whether memory stays flat.
struct MemoryBenchmarkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "memory",
        abstract: "Append, tail, replay and reconnect for long, and watch the memory.",
        discussion: """
            Streams are opened, claimed, written to their end, tailed and replayed, then others, journals are closed and \
            opened, and the server's processes of this run are terminated, about two a second. Nothing of it is kept, so \
            memory that goes on growing leaks.

              durable-streams bench memory --minutes 60

            Without a database URL it starts a private PostgreSQL server and removes it. With one it works in a schema of \
            its own, which it creates and drops: the role needs CREATE on the database.

            With --json a line per reading: \
            {"seconds","memoryBytes","threads","appended","failed","delivered","reconnects"}. The last line compares the \
            second quarter of the readings with the last. Exits 0, or 70 where the last quarter's average is \
            more than a tenth and 4 MiB above the second's.
            """
    )

    @OptionGroup var options: BenchmarkOptions

    @Option(parsing: .unconditional, help: ArgumentHelp("How long.", valueName: "n"))
    var minutes = 10.0

    @Option(parsing: .unconditional, help: ArgumentHelp("How often to read, in seconds.", valueName: "n"))
    var interval = 15.0

    @Option(parsing: .unconditional, help: ArgumentHelp("Appends a second, over 16 streams.", valueName: "n"))
    var rate = 500

    func validate() throws {
        guard minutes > 0, minutes <= 10_080, interval > 0, interval <= 3600, (1...100_000).contains(rate) else {
            throw ValidationError(
                "--minutes takes more than 0 and at most 10,080, --interval more than 0 and at most 3600, --rate 1 to "
                    + "100,000"
            )
        }
        guard minutes * 60 >= 8 * interval else {
            throw ValidationError("8 readings are needed at least: more --minutes, or a shorter --interval")
        }
    }

    func run() async throws {
        try await options.withDatabase { configuration in
            var configuration = configuration
            // Lost connections are what the run is about.
            if !options.connection.verbose { configuration.logger.logLevel = .critical }
            try await withOwnSchema(for: "bench", configuration, isLasting: options.isLasting) { configuration in
                var configuration = configuration
                configuration.applicationName = configuration.schema
                try await measure(configuration)
            }
        }
    }

    private func measure(_ configuration: JournalConfiguration) async throws {
        var benchmark = MemoryBenchmark(configuration: configuration)
        benchmark.rate = rate
        let readings = Readings()
        try await benchmark.run(for: .seconds(minutes * 60), each: .seconds(interval)) { reading in
            readings.all.withLock { $0.append(reading) }
            try await options.show([reading])
        }
        let memory = readings.all.withLock { $0.map { Double($0.memory) } }
        guard memory.count >= 8 else { throw ToolError(.checkFailed, "too few readings to tell: \(memory.count)") }
        let quarter = memory.count / 4
        let before = memory[quarter..<(2 * quarter)].reduce(0, +) / Double(quarter)
        let after = memory.suffix(quarter).reduce(0, +) / Double(quarter)
        let isFlat = after <= before * 1.1 + Double(4 << 20)
        let text =
            options.json
            ? #"{"secondQuarterBytes":\#(Int(before)),"lastQuarterBytes":\#(Int(after)),"flat":\#(isFlat)}"#
            : "second quarter \(Int(before) >> 10) KiB, last quarter \(Int(after) >> 10) KiB: \(isFlat ? "flat" : "grows")"
        try await Output.standard.write(Array((text + "\n").utf8))
        guard isFlat else { throw ToolError(.checkFailed, "memory grows") }
    }

    private final class Readings: Sendable {
        let all = Mutex<[MemoryBenchmark.Reading]>([])
    }
}

extension MemoryBenchmark.Reading: BenchmarkOutput {
    var line: String {
        "\(seconds) s\t\(memory >> 10) KiB\t\(threads) threads\t\(appended) appended\t\(failed) failed\t"
            + "\(delivered) delivered\t\(reconnects) connections terminated\n"
    }

    var json: String {
        #"{"seconds":\#(seconds),"memoryBytes":\#(memory),"threads":\#(threads),"appended":\#(appended),"failed":\#(failed),"#
            + #""delivered":\#(delivered),"reconnects":\#(reconnects)}"# + "\n"
    }
}
