import ArgumentParser
import PostgresStreams

/// `claim`: shuts out every writer of a stream.
struct ClaimCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "claim",
        abstract: "Claim a stream: fence everybody who writes to it now.",
        discussion: """
            Raises the stream's epoch and prints {"epoch":E,"position":N}: the new epoch, and the stream's next position \
            as of the claim. Once it has returned, no append of an earlier claim, nor of a writer without one, can commit.

              durable-streams claim orders/17

            The claim is not handed on: whoever is to write claims for itself, as append --claim does, which fences in \
            turn whoever came before.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @Argument(
        help: ArgumentHelp("The stream's name, 1 to 512 bytes.", valueName: "stream"),
        transform: StreamArgument.name
    )
    var stream: StreamName

    func run() async throws {
        try await withJournal(connection.configuration) { journal in
            try journal.refuseReadOnly()
            let claim = try await journal.stream(stream).claim()
            let answer = #"{"epoch":\#(claim.epoch),"position":\#(claim.position)}"#
            do {
                try await Output.standard.write(Array(answer.utf8) + [10])
                try await Output.standard.finish()
            } catch {
                throw ToolError(.outputFailed, "\(error); \(stream) is claimed: \(answer)")
            }
        }
    }
}
