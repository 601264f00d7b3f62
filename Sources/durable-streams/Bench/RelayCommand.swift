import ArgumentParser
import Foundation
import LibPQFloor

/// A process that makes a private server one that is far away: what `bench --round-trip` measures over. Hidden: only that
/// starts it. Says its port on standard output, and ends with its standard input.
struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay",
        abstract: "Hands on what comes, a little later, for `bench --round-trip`, which starts it.",
        shouldDisplay: false
    )

    @Option(name: .customLong("server-port"), help: "Of 127.0.0.1.")
    var serverPort: Int32

    @Option(help: ArgumentHelp("What the way takes, each way.", valueName: "seconds"))
    var delay: Double

    func run() async throws {
        let relay = relay_open()
        try Floor.check(relay.error)
        try await Output.standard.write(Array("\(relay.port)\n".utf8))
        let (serverPort, delay) = (serverPort, delay)
        let error = try await Floor.run { String(cString: relay_run(relay.listener, serverPort, delay)) }
        guard error.isEmpty else { throw BenchmarkError(description: "relay: \(error)") }
    }
}
