import Foundation
import Synchronization

/// This program once more, as a process of its own, whose output lines are read as they come. Used by the demo and
/// by `bench`.
///
/// Its stderr is ours, unless it is to be read. It ends with us at the latest: by the pipe that breaks, or by `kill`.
final class ChildProcess: Sendable {
    /// How it ended.
    enum End: Sendable, Equatable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    let processID: Int32
    let lines: LineReader<Line>
    /// Its stderr; nil where that is ours.
    let messages: LineReader<String>?
    private let input: Pipe?
    private let ending: Task<End, Never>
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
    ) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Bundle.main.executablePath ?? CommandLine.arguments[0])
        process.arguments = arguments
        var environment = ProcessInfo.processInfo.environment
        // It goes with the user's DATABASE_URL.
        if environment["DATABASE_URL"] != databaseURL { environment["DATABASE_LISTEN_URL"] = nil }
        environment["DATABASE_URL"] = databaseURL
        process.environment = environment
        let lines = Pipe()
        switch input {
        case .nothing: process.standardInput = FileHandle.nullDevice
        case .file(let file): process.standardInput = try FileHandle(forReadingFrom: file)
        case .lines: process.standardInput = lines
        }
        let (output, errors) = (Pipe(), Pipe())
        if keepsOutput {
            process.standardOutput = output
        } else {
            process.standardOutput = FileHandle.nullDevice
            try output.fileHandleForWriting.close()
        }
        if readsMessages { process.standardError = errors }
        let (ends, continuation) = AsyncStream.makeStream(of: End.self)
        process.terminationHandler = { process in
            let status = process.terminationStatus
            continuation.yield(process.terminationReason == .exit ? .exited(status) : .killed(signal: status))
            continuation.finish()
        }
        do {
            try process.run()
        } catch {
            throw ToolError(.unavailable, "cannot start a process: \(error.localizedDescription)")
        }
        processID = process.processIdentifier
        pipes = [output, errors]
        if case .lines = input { self.input = lines } else { self.input = nil }
        ending = Task {
            for await end in ends { return end }
            return .exited(-1)
        }
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

    /// Ends it at once and without a chance to clean up, if it still runs.
    func kill() { Foundation.kill(processID, SIGKILL) }

    /// How it ended, once it has.
    var end: End { get async { await ending.value } }
}
