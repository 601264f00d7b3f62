import ArgumentParser
import PostgresStreams

/// `bench tail`: how soon a tail in another process has an event, and what tails cost.
struct TailBenchmarkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Measure tails in another process.",
        discussion: """
            By default: appends at a steady rate over streams that a second process tails; from the append's start and from \
            its answer to the event's delivery, in microseconds. One append after the other: one that has to wait for the one \
            before starts when it was due, and perSecond is the rate that was reached. The floor is a C program's INSERT, \
            NOTIFY, LISTEN, poll and SELECT over bare libpq at the same rate, the reader a process of its own there too. \
            Each is measured in turn, --rounds times; medians count.

              durable-streams bench tail --tails 1 --rate 200
              durable-streams bench tail --tails 1000 --rate 1000 --json
              durable-streams bench tail --writers 64        at full speed, each stream tailed
              durable-streams bench tail --tails 10000 --rate 0              idle: memory, and the server's transactions;
                                                                             takes a minute at least
              durable-streams bench tail --tails 1000 --rate 0 --polling     the same without notifications
              durable-streams bench tail --catch-up 1000000                  beside COPY of the same rows
              durable-streams bench tail --processes 100                     what a NOTIFY costs then

            Without a database URL it starts a private PostgreSQL server and removes it. With one it works in a schema of \
            its own, which it creates and drops: the role needs CREATE on the database.
            """
    )

    @OptionGroup var options: BenchmarkOptions
    @OptionGroup var timing: BenchmarkTiming

    @Option(parsing: .unconditional, help: ArgumentHelp("How many streams are tailed.", valueName: "n"))
    var tails = 1

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Appends per second over all streams, at most; 0: none, the tails are idle, for 40 seconds at least.",
            valueName: "n"
        )
    )
    var rate = 200.0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Append at full speed by so many writers instead.", valueName: "n")
    )
    var writers: Int?

    @Option(
        name: .customLong("catch-up"),
        parsing: .unconditional,
        help: ArgumentHelp("Tail so many events that are there.", valueName: "n")
    )
    var catchUp: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("Notify while so many processes tail.", valueName: "n"))
    var processes: Int?

    @Flag(help: "With --rate 0: without notifications.")
    var polling = false

    func validate() throws {
        guard (1...100_000).contains(tails), (0...100_000).contains(rate) else {
            throw ValidationError("--tails takes 1 to 100,000, --rate 0 to 100,000")
        }
        guard rate * timing.seconds <= 10_000_000 else {
            throw ValidationError("--rate × --seconds is at most 10,000,000 appends")
        }
        guard [writers, catchUp, processes].compactMap({ $0 }).allSatisfy({ (2...100_000_000).contains($0) }) else {
            throw ValidationError("--writers, --catch-up and --processes take 2 or more, and at most 100,000,000")
        }
        guard [writers, catchUp, processes].count(where: { $0 != nil }) + (polling ? 1 : 0) <= 1 else {
            throw ValidationError("of --writers, --catch-up, --processes and --polling only one counts: give one")
        }
        guard !polling || rate == 0 else { throw ValidationError("--polling goes with --rate 0") }
    }

    func run() async throws {
        try await options.withDatabase(settings: ["max_connections": "1000"]) { configuration in
            let rows = try await withOwnSchema(for: "bench", configuration, isLasting: options.isLasting) {
                try await measure($0)
            }
            try await options.show(rows)
        }
    }

    private func measure(_ configuration: JournalConfiguration) async throws -> [TailBenchmarkRow] {
        let benchmark = TailBenchmark(configuration: configuration, seconds: timing.seconds, rounds: timing.rounds)
        return try await withJournal(configuration) { try await rows(benchmark, $0) }
    }

    private func rows(_ benchmark: TailBenchmark, _ journal: Journal) async throws -> [TailBenchmarkRow] {
        if let writers { return [try await benchmark.fullSpeed(journal, writers: writers)] }
        if let catchUp { return try await benchmark.catchUp(journal, count: catchUp) }
        if let processes { return try await benchmark.processes(journal, count: processes) }
        if rate == 0 { return [try await benchmark.idle(journal, tails: tails, polls: polling)] }
        return try await benchmark.paced(journal, tails: tails, rate: rate)
    }
}
