import ArgumentParser
import LibPQFloor

/// The other process of the floor of `bench tail`: a C program that listens and selects. Hidden: only `bench tail` starts it.
///
/// Its lines are a part of those of `TailBenchmarkReaderCommand`, see `floor_tail_follow`.
struct TailReaderFloorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail-reader-floor",
        abstract: "Tails for the floor of `bench tail`, which starts it.",
        shouldDisplay: false
    )

    @OptionGroup var connection: ConnectionOptions

    @Option var firstStream: Int

    @Option var tails: Int32

    func validate() throws {
        guard tails > 0 else { throw ValidationError("--tails takes 1 or more") }
    }

    func run() async throws {
        let (url, schema, firstStream, tails) = (connection.givenURL ?? "", connection.schema, firstStream, tails)
        let error = try await Floor.run { String(cString: floor_tail_follow(url, schema, firstStream, tails)) }
        guard error.isEmpty else { throw BenchmarkError(description: "floor: \(error)") }
    }
}
