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
            closed, if it did) and its last effect. Reads the stream page by page and keeps no events.

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
            var coroutines: [CoroutineSummary] = []
            var indices: [CoroutineID: Int] = [:]
            for try await recorded in journal.stream(stream).read() {
                let id = recorded.event.coroutineID
                let index = indices[id] ?? coroutines.count
                if index == coroutines.count {
                    indices[id] = index
                    coroutines.append(CoroutineSummary(id: id))
                }
                try coroutines[index].add(recorded.event)
            }
            let lines = json ? coroutines.map(\.jsonLine) : CoroutineTree(coroutines).lines
            try await Output.standard.write(lines.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] })
        }
    }
}
