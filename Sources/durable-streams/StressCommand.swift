import ArgumentParser
import PostgresStreams
import StreamHistory
import StreamStress
import TisynStreams

/// `stress`: the history checker against the user's own server, in a schema of its own.
struct StressCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stress",
        abstract: "Append, tail, claim and read for a while, then check every promise against what happened.",
        discussion: """
            Works in a schema of its own, which it creates and removes: the role needs CREATE on the database. Writers append single events and batches, some for \
            exact positions, some in transactions with a row of their own, some under claims that they take from each other; \
            calls are cancelled at random; tails follow one stream or all, are given up and resumed, or are slow. Everything called, acknowledged and seen goes into a history, which is \
            then checked against what the streams hold: every acknowledged event once at its position, no other ones, no \
            gap, order, fencing, outcomes, tails, replays.

              durable-streams stress --minutes 10 --writers 32 --tails 16
              durable-streams stress --disrupt --json

            --disrupt also terminates and cancels the server's processes of this run, and of nobody else, about once a \
            second.

            The report goes to stdout, also of a run that is interrupted: that takes as long as settling and checking does, \
            and a second signal ends it at once. Exits 0, or 70 where a promise was broken.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @Option(parsing: .unconditional, help: ArgumentHelp("How long, without settling at the end.", valueName: "n"))
    var minutes = 1.0

    @Option(parsing: .unconditional, help: ArgumentHelp("How many tasks append at the same time.", valueName: "n"))
    var writers = 16

    @Option(parsing: .unconditional, help: ArgumentHelp("How many tails follow.", valueName: "n"))
    var tails = 8

    @Option(parsing: .unconditional, help: ArgumentHelp("Over how many streams.", valueName: "n"))
    var streams = 8

    @Option(parsing: .unconditional, help: ArgumentHelp("Appends a second, all writers together.", valueName: "n"))
    var rate = 1000

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Whatever is random follows from it.", valueName: "n"),
        transform: StressCommand.seed
    )
    var seed: UInt64?

    @Flag(help: "Terminate and cancel the server's processes of this run.")
    var disrupt = false

    @Flag(help: "Print the report as one JSON object.")
    var json = false

    @Sendable
    private static func seed(_ text: String) throws -> UInt64 {
        guard let seed = UInt64(text) else { throw ValidationError("a seed is a whole number from 0, below 2^64") }
        return seed
    }

    func validate() throws {
        guard minutes > 0, minutes <= 1440 else {
            throw ValidationError("--minutes takes more than 0 and at most 1440")
        }
        guard (1...10_000).contains(writers), (0...10_000).contains(tails), (1...10_000).contains(streams) else {
            throw ValidationError("--writers and --streams take 1 to 10,000, --tails 0 to 10,000")
        }
        guard (1...1_000_000).contains(rate) else { throw ValidationError("--rate takes 1 to 1,000,000") }
    }

    func run() async throws {
        var plan = StressPlan()
        plan.duration = .seconds(minutes * 60)
        (plan.writers, plan.tails, plan.streams, plan.rate) = (writers, tails, streams, rate)
        if let seed { plan.seed = seed }
        var configuration = connection.configuration
        // Lost connections are what the run is about, and are in its report.
        if !connection.verbose { configuration.logger.logLevel = .critical }
        Interruption.waitsForTheEnd()
        let report = try await withOwnSchema(for: "stress", configuration) { configuration in
            var configuration = configuration
            // Tells our own connections from all others.
            configuration.applicationName = configuration.schema
            let run = StressRun(
                plan: plan,
                writing: [configuration, configuration],
                reading: configuration,
                checking: configuration
            )
            return try await run.run(disrupt ? disruptor(configuration) : nil)
        }
        try await Output.standard.write(Array((json ? report.jsonLine : report.text).utf8))
        guard report.isClean else { throw ToolError(.checkFailed, "\(report.violations.count) promises were broken") }
    }

    private func disruptor(_ configuration: JournalConfiguration) -> Disruptor {
        let backends = OwnBackends(configuration)
        return Disruptor(
            [
                .init("one of its backends terminated") { _ in try await backends.send(.terminate, atMost: 1) },
                .init("all of its backends terminated") { _ in try await backends.send(.terminate) },
                .init("some of its backends cancelled") { _ in try await backends.send(.cancel, atMost: 3) },
            ],
            pause: 0.2...2
        )
    }
}
