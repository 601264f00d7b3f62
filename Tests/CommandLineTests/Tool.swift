import ChildProcesses
import Foundation
import Testing

@testable import PrivatePostgres

/// The built command-line tool, run as a process against one database.
struct Tool: Sendable {
    /// What a process of the tool left behind.
    struct Outcome: Sendable {
        /// The exit code; a process that a signal ended has the signal's number, negated.
        let status: Int32
        let output: [UInt8]
        /// What it wrote to stderr.
        let messages: String

        /// The lines of `messages` that are no warnings, of which there may be some where a machine stood still.
        var errors: [Substring] {
            messages.split(separator: "\n").filter { !$0.hasPrefix("durable-streams: warning: ") }
        }

        var text: String { String(decoding: output, as: UTF8.self) }
        // By bytes: to a String, a carriage return and a line feed are one character.
        var lines: [String] { output.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) } }
    }

    /// Goes by the environment, as users would have it; nil: there is none.
    var databaseURL: String?

    /// Besides what it has from us.
    var environment: [String: String] = [:]

    /// Runs it to its end.
    ///
    /// - Parameter input: all of stdin.
    func run(_ arguments: [String], input: some Sequence<UInt8> = []) async throws -> Outcome {
        let process = try await start(arguments)
        process.write(Array(input))
        process.closeInput()
        return await process.outcome
    }

    func run(_ arguments: String..., input: String = "") async throws -> Outcome {
        try await run(arguments, input: input.utf8)
    }

    /// Starts it, to talk to it.
    ///
    /// - Parameter reader: who reads its stdout.
    func start(_ arguments: [String], reader: ToolProcess.Reader = .present) async throws -> ToolProcess {
        var environment = Command.cleanEnvironment
        environment["DATABASE_URL"] = databaseURL
        environment["NO_COLOR"] = nil
        environment.merge(self.environment) { $1 }
        return try await ToolProcess(Self.executable(), patient(arguments), environment: environment, reader: reader)
    }

    /// An append to a database that is there has time where the test does not say how much: a machine that stands still for
    /// longer than the default is no reason to give up.
    private func patient(_ arguments: [String]) -> [String] {
        let isHasty = databaseURL != nil && arguments.first == "append" && !arguments.contains("--deadline")
        return isHasty ? ["append", "--deadline", "300"] + arguments.dropFirst() : arguments
    }

    func start(_ arguments: String...) async throws -> ToolProcess { try await start(arguments) }

    /// Runs it by a shell, for what only a shell says of its streams; without a database.
    ///
    /// - Parameter command: its arguments and redirections.
    static func shell(_ command: String) async throws -> Outcome {
        let shell = URL(fileURLWithPath: "/bin/sh")
        let script = "exec \"$0\" \(command)"
        var environment = Command.cleanEnvironment
        environment["DATABASE_URL"] = "postgresql:///none?host=/nonexistent/folder"
        let arguments = ["-c", script, try executable().path]
        let process = try await ToolProcess(shell, arguments, environment: environment, reader: .present)
        process.closeInput()
        return await process.outcome
    }

    /// SwiftPM builds products and test bundles into one folder.
    private static func executable() throws -> URL {
        final class Anchor {}
        let places = [
            Bundle(for: Anchor.self).bundleURL.deletingLastPathComponent(),
            Bundle.main.bundleURL, URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent(),
        ]
        return try #require(
            places.map { $0.appendingPathComponent("durable-streams") }.first {
                FileManager.default.isExecutableFile(atPath: $0.path)
            },
            "there is no durable-streams in \(places.map(\.path))"
        )
    }
}
