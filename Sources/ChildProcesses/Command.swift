import Subprocess

/// A program run to its end, its output collected.
package struct Command: Sendable {
    package struct Outcome: Sendable {
        /// The exit status; that of a program ended by a signal is not 0 either.
        package let status: Int32
        /// Standard output and standard error in the order they were written, without the last line end.
        package let output: String
    }

    package let executable: String
    package var arguments: [String]
    package var environment: [String: String]

    package init(executable: String, arguments: [String] = [], environment: [String: String]) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
    }

    /// Returns nil when it could not be started. Not cancellable: what is begun, such as dropping a database, is done.
    package func run() async -> Outcome? {
        await Task {
            let result = try? await Subprocess.run(
                Configuration(executable: executable, arguments: arguments, environment: environment),
                input: .none,
                output: .string(limit: .max),
                error: .combinedWithOutput
            )
            return result.map { Outcome($0.terminationStatus, $0.standardOutput) }
        }.value
    }
}

extension Command.Outcome {
    fileprivate init(_ end: TerminationStatus, _ output: String) {
        switch end {
        case .exited(let code): status = code
        case .signaled(let signal): status = max(signal, 1)
        }
        self.output = output.hasSuffix("\n") ? String(output.dropLast()) : output
    }
}
