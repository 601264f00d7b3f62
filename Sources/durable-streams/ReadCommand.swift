import ArgumentParser
import PostgresStreams

/// `read`: what a stream holds, from a position to its end.
struct ReadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read",
        abstract: "Print a stream's events.",
        discussion: """
            An event a line, byte for byte as it was appended. It ends at the end of the stream; `tail` goes on. A stream \
            that does not exist is empty.

              durable-streams read orders/17 > events.ndjson
              durable-streams read orders/17 --from 100 --limit 10 --positions

            --positions wraps each event: {"position":100,"recordedAt":"2026-11-22T18:44:23.123456Z","event":…}. The time \
            is the server's, a little before the commit.

            An event that was appended through the library may have line feeds between its tokens: they come out as spaces, \
            and with --positions carriage returns too.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: ArgumentHelp("The stream's name.", valueName: "stream"), transform: StreamArgument.name)
    var stream: StreamName

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The position to begin at.", valueName: "n"),
        transform: StreamArgument.position
    )
    var from = 0

    @Option(parsing: .unconditional, help: ArgumentHelp("The most events to print.", valueName: "n"))
    var limit: Int?

    @Flag(help: "With each event its position and the time it was recorded.")
    var positions = false

    /// What is gathered before it is handed to stdout, in bytes.
    private static let bufferByteCount = 256 << 10

    func validate() throws {
        guard limit ?? 0 >= 0 else { throw ValidationError("--limit takes a whole number from 0") }
    }

    func run() async throws {
        var configuration = connection.configuration
        if let limit { configuration.pageSize = max(1, min(configuration.pageSize, limit)) }
        try await withJournal(configuration) { journal in
            var events = journal.stream(stream).read(from: from).makeAsyncIterator()
            var bytes: [UInt8] = []
            do {
                try await copy(&events, through: &bytes)
            } catch let error as JournalError {
                // What came before it is good.
                try await Output.standard.write(bytes)
                throw error
            }
            try await Output.standard.write(bytes)
        }
    }

    /// - Parameter bytes: what is not handed over yet.
    private func copy(_ events: inout StreamReading.Iterator, through bytes: inout [UInt8]) async throws {
        var left = limit ?? .max
        while left > 0, let recorded = try await events.next() {
            left -= 1
            if positions {
                EventLine.appendPositioned(recorded, to: &bytes)
            } else {
                EventLine.append(recorded.event, to: &bytes)
            }
            guard bytes.count >= Self.bufferByteCount else { continue }
            try await Output.standard.write(bytes)
            bytes.removeAll(keepingCapacity: true)
        }
    }
}
