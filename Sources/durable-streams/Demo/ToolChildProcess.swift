import ChildProcesses
import Foundation

/// This program once more, as a process of its own, whose output lines are read as they come. Used by the demo and
/// by `bench`.
///
/// Its stderr is ours, unless it is to be read. It ends with us at the latest: by the pipe that breaks, or by `kill`.
final class ToolChildProcess: Sendable {
    private let process: ChildProcess
    let lines: LineReader<Line>
    /// Its stderr; nil where that is ours.
    let messages: LineReader<String>?
    private let input: Pipe?
    // They close their descriptors when they go, so they have to stay as long as the readers.
    private let pipes: [Pipe]

    /// A line, and when it was here, see ``MonotonicTime``.
    struct Line: Sendable {
        let text: [UInt8]
        let time: MonotonicTime
    }

    /// What its stdin is.
    enum Input: Sendable {
        case nothing
        case file(URL)
        /// What is written to it; see `write`.
        case lines
    }

    /// - Parameters:
    ///   - databaseURL: goes by the environment, since every user of the machine can see arguments.
    ///   - keepsOutput: false: what it writes to stdout goes nowhere.
    init(
        _ arguments: [String],
        databaseURL: String,
        input: Input = .nothing,
        keepsOutput: Bool = true,
        readsMessages: Bool = false
    ) async throws {
        var environment = ProcessInfo.processInfo.environment
        // It goes with the user's DATABASE_URL.
        if environment["DATABASE_URL"] != databaseURL { environment["DATABASE_LISTEN_URL"] = nil }
        environment["DATABASE_URL"] = databaseURL
        let (lines, output, errors) = (Pipe(), Pipe(), Pipe())
        let file: FileHandle? = if case .file(let file) = input { try FileHandle(forReadingFrom: file) } else { nil }
        // Its ends are its own, from when it runs.
        defer {
            for end in [lines.fileHandleForReading, output.fileHandleForWriting, errors.fileHandleForWriting] {
                try? end.close()
            }
            try? file?.close()
        }
        let stdin: FileHandle? =
            switch input {
            case .nothing: nil
            case .file: file
            case .lines: lines.fileHandleForReading
            }
        do {
            process = try await ChildProcess(
                Bundle.main.executablePath ?? CommandLine.arguments[0],
                arguments,
                environment: environment,
                input: stdin?.fileDescriptor,
                output: keepsOutput ? output.fileHandleForWriting.fileDescriptor : nil,
                errors: readsMessages ? errors.fileHandleForWriting.fileDescriptor : STDERR_FILENO
            )
        } catch {
            throw ToolError(.unavailable, "cannot start a process: \(error)")
        }
        pipes = [output, errors]
        if case .lines = input { self.input = lines } else { self.input = nil }
        self.lines = LineReader(output.fileHandleForReading.fileDescriptor, limits: .init(lineBytes: 1 << 20)) {
            line,
            _ in
            Line(text: Array(line), time: .now)
        }
        messages =
            readsMessages
            ? LineReader(errors.fileHandleForReading.fileDescriptor, limits: .init(lineBytes: 1 << 20)) { line, _ in
                String(decoding: line, as: UTF8.self)
            } : nil
    }

    /// Writes to its stdin, where that is `lines`: a short line, which it reads soon. One that is gone is told of by `end`.
    func write(line: String) { try? input?.fileHandleForWriting.write(contentsOf: Data("\(line)\n".utf8)) }

    var processID: Int32 { process.processID }

    /// Ends it at once and without a chance to clean up, if it still runs.
    func kill() { process.send(SIGKILL) }

    /// How it ended, once it has.
    var end: ChildProcess.End { get async { await process.end } }
}
