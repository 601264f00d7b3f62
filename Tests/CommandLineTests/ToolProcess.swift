import ChildProcesses
import Foundation

/// A running process of the tool: stdin to write to, lines of stdout as they come, and how it ended.
///
/// Threads of its own read and write its pipes, so that neither side can stand still because of the other.
final class ToolProcess: Sendable {
    /// Its stdout, line by line, without line feeds. Iterate it once.
    let lines: AsyncStream<String>
    /// The same for stderr.
    let messages: AsyncStream<String>
    private let process: ChildProcess
    private let input: Int32
    private let inputQueue = DispatchQueue(label: "stdin")
    private let standardOutput: Capture
    private let standardError: Capture

    private static let ignoringBrokenPipes: Void = { signal(SIGPIPE, SIG_IGN) }()

    /// Who reads its stdout.
    enum Reader {
        case present
        /// Nobody, from the beginning: it cannot write.
        case gone
        /// A disk that takes nothing.
        case full
        /// Nobody until `wakeReader`: it can write as much as a pipe holds.
        case asleep
    }

    init(_ executable: URL, _ arguments: [String], environment: [String: String], reader: Reader) async throws {
        Self.ignoringBrokenPipes
        let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
        let full = reader == .full ? FileHandle(forWritingAtPath: "/dev/full") : nil
        // Its ends are its own, from when it runs.
        defer {
            for end in [stdin.fileHandleForReading, stdout.fileHandleForWriting, stderr.fileHandleForWriting] {
                try? end.close()
            }
            try? full?.close()
        }
        process = try await ChildProcess(
            executable.path,
            arguments,
            environment: environment,
            input: stdin.fileHandleForReading.fileDescriptor,
            output: (full ?? stdout.fileHandleForWriting).fileDescriptor,
            errors: stderr.fileHandleForWriting.fileDescriptor
        )
        // Of our own, so that it can be closed while the pipe object lives.
        input = dup(stdin.fileHandleForWriting.fileDescriptor)
        _ = fcntl(input, F_SETFD, FD_CLOEXEC)
        try stdin.fileHandleForWriting.close()
        if reader == .gone { try stdout.fileHandleForReading.close() }
        standardOutput = Capture(reader == .gone ? nil : stdout, isAsleep: reader == .asleep)
        standardError = Capture(stderr)
        lines = standardOutput.lines
        messages = standardError.lines
    }

    /// Writes to its stdin, after what was written before; does not wait.
    func write(_ bytes: [UInt8]) {
        inputQueue.async { [input] in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { Foundation.write(input, $0.baseAddress, $0.count) }
                // It need not read all of it: a bad line ends it.
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }

    func write(line: String) { write(Array(line.utf8) + [UInt8(ascii: "\n")]) }

    /// Ends its stdin, after what was written before.
    func closeInput() { inputQueue.async { [input] in _ = close(input) } }

    var processID: Int32 { process.processID }

    func send(_ signal: Int32) { process.send(signal) }

    func wakeReader() { standardOutput.wake() }

    /// How it ended, once it has; of a signal its number, negated.
    var status: Int32 {
        get async {
            switch await process.end {
            case .exited(let code): code
            case .killed(let signal): -signal
            case .unknown: .min
            }
        }
    }

    /// How it ended, once it has, with all it wrote.
    var outcome: Tool.Outcome {
        get async {
            let status = await status
            return await Tool.Outcome(
                status: status,
                output: standardOutput.all,
                messages: String(decoding: standardError.all, as: UTF8.self)
            )
        }
    }
}

/// What a process writes to one of its pipes: kept whole, and as lines while it comes.
private final class Capture: Sendable {
    let lines: AsyncStream<String>
    private let reading: Task<[UInt8], Never>
    private let awake = DispatchSemaphore(value: 0)

    init(_ pipe: Pipe?, isAsleep: Bool = false) {
        let (lines, lineContinuation) = AsyncStream.makeStream(of: String.self)
        let (wholes, wholeContinuation) = AsyncStream.makeStream(of: [UInt8].self)
        self.lines = lines
        reading = Task {
            for await whole in wholes { return whole }
            return []
        }
        guard let handle = pipe?.fileHandleForReading else {
            lineContinuation.finish()
            wholeContinuation.finish()
            return
        }
        Thread.detachNewThread { [awake] in
            if isAsleep { awake.wait() }
            var all: [UInt8] = []
            var lineStart = 0
            var searched = 0
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                // Not FileHandle's own reading, which waits until all it was asked for is there.
                let count = read(handle.fileDescriptor, &chunk, chunk.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                all += chunk[..<count]
                while let end = Self.lineFeed(in: all, from: searched) {
                    lineContinuation.yield(String(decoding: all[lineStart..<end], as: UTF8.self))
                    lineStart = end + 1
                    searched = lineStart
                }
                searched = all.count
            }
            try? handle.close()
            lineContinuation.finish()
            wholeContinuation.yield(all)
            wholeContinuation.finish()
        }
    }

    func wake() { awake.signal() }

    /// A debug build takes far longer to walk through an array.
    private static func lineFeed(in bytes: [UInt8], from start: Int) -> Int? {
        bytes.withUnsafeBytes { bytes in
            guard start < bytes.count, let base = bytes.baseAddress,
                let hit = memchr(base + start, Int32(UInt8(ascii: "\n")), bytes.count - start)
            else { return nil }
            return UnsafeRawPointer(hit) - base
        }
    }

    /// Everything, once the process has closed its end.
    var all: [UInt8] { get async { await reading.value } }
}
