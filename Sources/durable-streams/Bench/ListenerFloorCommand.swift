import ArgumentParser
import LibPQFloor

/// A process with one bare libpq connection that listens, and nothing else: what `bench tail --processes` holds processes
/// that tail against. Hidden: only that starts it.
struct ListenerFloorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listener-floor",
        abstract: "Listens for `bench tail`, which starts it.",
        shouldDisplay: false
    )

    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
        let (url, channel) = (connection.givenURL ?? "", connection.schema)
        let error = try await Floor.run { String(cString: floor_listen(url, channel)) }
        guard error.isEmpty else { throw BenchmarkError(description: "floor: \(error)") }
    }
}
