import Foundation
import Synchronization

/// A shell command whose output is the password: `--password-command`, for tokens that are good for minutes.
///
/// Run for each connection that is made. What it says on stderr is seen; it has no stdin.
struct PasswordCommand: Sendable {
    let text: String

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Those that run, by their process ids, which are those of their process groups too.
    private static let running = Mutex<Set<pid_t>>([])

    /// Ends those that run: they hold our stderr, and whoever reads that would wait for them. Called when the program ends.
    static func endAll() {
        // SIGTERM is blocked in what is started here.
        for group in running.withLock({ $0 }) { kill(-group, SIGKILL) }
    }

    private static let isEndedAtExit: Void = { atexit { PasswordCommand.endAll() } }()

    /// A token is a few kilobytes.
    private static let longestPassword = 1 << 20

    /// The first line of its output. A command that fails, or prints none, is an error that says so, without what it printed.
    func password() async throws -> String {
        let (process, output) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", text]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        let (ends, ended) = AsyncStream.makeStream(of: Int32.self)
        process.terminationHandler = { process in
            ended.yield(process.terminationReason == .exit ? process.terminationStatus : -1)
            ended.finish()
        }
        _ = Self.isEndedAtExit
        try process.run()
        let group = process.processIdentifier
        Self.running.withLock { _ = $0.insert(group) }
        defer { Self.running.withLock { _ = $0.remove(group) } }
        let lines = LineReader(
            output.fileHandleForReading.fileDescriptor,
            limits: .init(lineBytes: Self.longestPassword)
        ) { line, _ in String(decoding: line, as: UTF8.self) }
        return try await withTaskCancellationHandler {
            var first: String?
            while let batch = try await lines.next() { first = first ?? batch.first }
            var status: Int32 = -1
            for await end in ends { status = end }
            withExtendedLifetime(output) {}
            guard status == 0 else {
                throw Failure(
                    description: "the password command "
                        + (status < 0 ? "was killed by a signal" : "ended with status \(status)")
                )
            }
            guard let first else { throw Failure(description: "the password command printed nothing") }
            return first
        } onCancel: {
            kill(-group, SIGKILL)
        }
    }
}
