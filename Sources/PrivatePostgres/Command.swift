import Foundation

/// A program run to its end, its output collected. Used for `psql` and `pg_config`; never for the server itself.
struct Command: Sendable {
    struct Outcome: Sendable {
        /// The exit status; that of a program ended by a signal is not 0 either.
        let status: Int32
        /// Standard output and standard error in the order they were written, without the last line end.
        let output: String
    }

    let executable: String
    var arguments: [String] = []
    var environment: [String: String] = Command.cleanEnvironment

    /// This process's environment without libpq's and the server's variables: `PGOPTIONS`, `PGSERVICE` or `PGDATA` of
    /// whoever runs the tests must not reach the private server. Messages are in English, time is UTC.
    static var cleanEnvironment: [String: String] {
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("PG") }
        environment["LC_ALL"] = "C"
        environment["TZ"] = "UTC"
        return environment
    }

    /// Blocks until the program has ended. Returns nil when it could not be started.
    func run() -> Outcome? {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = pipe
        do {
            try process.run()
        } catch {
            return nil
        }
        let bytes = (try? pipe.fileHandleForReading.readToEnd()) ?? Data()
        process.waitUntilExit()
        var output = String(decoding: bytes, as: UTF8.self)
        if output.hasSuffix("\n") { output.removeLast() }
        let status = process.terminationStatus
        return Outcome(status: process.terminationReason == .exit ? status : max(status, 1), output: output)
    }
}
