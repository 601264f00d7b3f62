import ArgumentParser
import Foundation
import PostgresStreams

/// `tail`: streams as they grow, merged into one output.
struct TailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail",
        abstract: "Print events of one or more streams as they are committed.",
        discussion: """
            First what is there, then what comes, each event once and in its stream's order, a line each:

              {"stream":"orders/17","position":3,"recordedAt":"2026-11-22T18:44:23.123456Z","event":…}

              durable-streams tail orders/17 orders/18
              durable-streams tail orders/17 --from end
              durable-streams tail orders/17 --until-close
              durable-streams tail --all --prefix orders/

            A stream need not exist yet. Lost connections are made again for as long as it runs; what is new meanwhile \
            comes afterwards. While the server cannot notify (behind a pooler, on a standby) it looks several times a \
            second, more seldom when nothing has come for a while, and says so on stderr. DATABASE_LISTEN_URL gives a way \
            round a pooler where DATABASE_URL gives the way through it.

            With --all it follows every stream, or those that begin with --prefix, and each new one as it is created. Each \
            stream's events come in its order; there is no order between streams.

            With --until-close it ends when every stream named has had its root coroutine's close, or, where that stands \
            before the begin, when it has printed what is there; else with Ctrl-C, which \
            exits 130, or when the reader of its output goes away, which exits 0. Line feeds and carriage returns between \
            an event's tokens come out as spaces.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @Argument(
        help: ArgumentHelp("The streams' names; one named twice counts once.", valueName: "stream"),
        transform: StreamArgument.name
    )
    var streams: [StreamName] = []

    @Flag(help: "Every stream, new ones included.")
    var all = false

    @Option(help: ArgumentHelp("With --all: only streams whose names begin with this.", valueName: "text"))
    var prefix: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Where to begin: a position, start, or end for new events only.",
            valueName: "n|start|end"
        ),
        transform: StreamArgument.tailStart
    )
    var from = TailStart.start

    @Flag(name: .customLong("until-close"), help: "End when every stream named has its root's close.")
    var untilClose = false

    @OptionGroup var listening: ListenOptions

    func validate() throws {
        if all {
            guard streams.isEmpty else { throw ValidationError("--all takes no streams' names; --prefix narrows it") }
            guard !untilClose else { throw ValidationError("--until-close needs streams' names: --all has no end") }
        } else {
            guard !streams.isEmpty else { throw ValidationError("name a stream, or give --all") }
            guard prefix == nil else { throw ValidationError("--prefix goes with --all") }
        }
    }

    func run() async throws {
        var configuration = connection.configuration
        configuration.listenURL = listening.url(besides: connection)
        // How tails hear of events, and why not, is what `report` says.
        configuration.logger = StandardErrorLog.logger(
            connection.verbose ? .debug : .error,
            without: [ListeningState.logMessage]
        )
        try await withJournal(configuration) { journal in
            let reporter = Task { await report(journal.listeningStates()) }
            defer { reporter.cancel() }
            let tails = Task { try await follow(journal) }
            let departure = Latch()
            // An idle tail would notice only with the next event, perhaps never.
            Task {
                await Output.standard.readerGone()
                departure.raise()
                tails.cancel()
            }
            try await withTaskCancellationHandler {
                do {
                    try await tails.value
                } catch  where departure.isRaised {
                    throw OutputError(code: EPIPE)
                }
            } onCancel: {
                tails.cancel()
            }
        }
    }

    private func follow(_ journal: Journal) async throws {
        guard !all else { return try await write(journal.tailAll(prefix: prefix ?? "", from: from)) }
        var unique: Set<StreamName> = []
        let names = streams.filter { unique.insert($0).inserted }
        try await withThrowingTaskGroup { group in
            for name in names {
                group.addTask { try await write(journal.stream(name).tail(from: from, untilClose: untilClose)) }
            }
            try await group.waitForAll()
        }
    }

    private func write(_ events: some AsyncSequence<RecordedEvent, JournalError>) async throws {
        var line: [UInt8] = []
        for try await recorded in events {
            line.removeAll(keepingCapacity: true)
            EventLine.appendTailed(recorded, to: &line)
            try await Output.standard.write(line)
        }
    }

    /// Says on stderr when notifications fail to come, and when they come again; with --verbose also that they come.
    private func report(_ states: AsyncStream<ListeningState>) async {
        var isTroubled = false
        for await state in states {
            switch state {
            case .idle, .reconnecting(_, .starting): break
            case .listening:
                if isTroubled || connection.verbose {
                    StandardError.say("tail: \(state)\(isTroubled ? " again" : "")")
                }
                isTroubled = false
            case .polling, .reconnecting:
                StandardError.say("tail: \(state)")
                isTroubled = true
            }
        }
    }
}
