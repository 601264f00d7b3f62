import ArgumentParser
import PostgresStreams
import TisynStreams

/// `replay`: what an execution had done, coroutine by coroutine, as a replay would find it.
struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Show a stream's coroutines: yields, last effect, status.",
        discussion: """
            The coroutines as a tree, each with its number of yields, its status (open, ok, error, cancelled: how it \
            closed, if it did) and its last effect. Memory grows with the number of coroutines, and by a byte or two for \
            each event, whatever the events hold; on a terminal it shows how far it has come.

              durable-streams replay orders/17
              durable-streams replay orders/17 --json | jq 'select(.status == "open")'

            --json prints {"coroutineId":"root.0","yields":3,"status":"ok"} for each, in the order of their first events. \
            A stream that does not exist has no coroutines.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: ArgumentHelp("The stream's name.", valueName: "stream"), transform: StreamArgument.name)
    var stream: StreamName

    @Flag(help: "An object a line for each coroutine instead of the tree.")
    var json = false

    func run() async throws {
        try await withJournal(connection.configuration) { journal in
            let stream = journal.stream(stream)
            let index = stream.replayIndex()
            try await read(index)
            let coroutines = try await summaries(of: index, in: stream)
            let lines = json ? coroutines.map(\.jsonLine) : CoroutineTree(coroutines).lines
            try await Output.standard.write(lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] })
        }
    }

    /// How many events are read between two lines of progress.
    private static let stride = 100_000

    private func read(_ index: StreamReplayIndex) async throws {
        var progress = ProgressLine()
        var target = 0
        repeat {
            target += Self.stride
            try await index.read(upTo: target)
            let (read, known) = index.progress
            progress.show("\(read) of \(known) events read")
        } while index.progress.read < index.progress.known
        progress.clear()
    }

    /// Looks only at the events that say something: of each coroutine the last yield and the close.
    private func summaries(
        of index: StreamReplayIndex,
        in stream: PostgresStream
    ) async throws -> [CoroutineSummary] {
        let coroutines = try await index.coroutines()
        var summaries = coroutines.map { CoroutineSummary(id: $0.id, yields: $0.yieldCount) }
        let yields = coroutines.enumerated().compactMap { number, coroutine in
            json ? nil : coroutine.lastYieldPosition.map { (number: number, position: $0) }
        }
        var number = 0
        try await stream.forEachEvent(at: yields.map(\.position)) { position, event in
            if let effect = try parsed(at: position, { () throws(EventError) in try event.yieldEntry() })?.description {
                summaries[yields[number].number].lastEffect = "\(effect.type.encoded).\(effect.name.encoded)"
            }
            number += 1
        }
        let closes = coroutines.enumerated().compactMap { number, coroutine in
            coroutine.closePosition.map { (number: number, position: $0) }
        }
        number = 0
        try await stream.forEachEvent(at: closes.map(\.position)) { position, event in
            let result = try parsed(at: position) { () throws(EventError) in try event.result() }
            summaries[closes[number].number].status = CoroutineSummary.Status(closedWith: result)
            number += 1
        }
        return summaries
    }

    /// What an event says, or where the one is that says nothing.
    private func parsed<R>(at position: Int, _ parse: () throws(EventError) -> R) throws(ToolError) -> R {
        do throws(EventError) {
            return try parse()
        } catch {
            throw ToolError(.badInput, "stream \(stream), position \(position): \(error); another program wrote it")
        }
    }
}
