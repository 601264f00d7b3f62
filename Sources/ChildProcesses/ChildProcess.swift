import Subprocess
import Synchronization

#if canImport(System)
    import System
#else
    import SystemPackage
#endif

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A program that runs beside this one, its streams descriptors of the caller's.
///
/// It has none of this process's other descriptors, no signal blocked or ignored, and a process group of its own, so that
/// what a terminal sends to this process does not reach it. It may outlive this object, and this process.
///
/// Foundation's `Process` will not do: that of Swift 6.3 reads past the end of its list of this process's descriptors where
/// there are more than some 1,350, as there can be in a run of the tests.
package final class ChildProcess: Sendable {
    /// How it ended.
    package enum End: Sendable, Equatable {
        case exited(Int32)
        case killed(signal: Int32)
        /// The system did not say.
        case unknown
    }

    package let processID: Int32
    private let ending: Task<End, Never>
    private let running: Running

    /// Whether it runs, as far as is known here.
    private final class Running: Sendable {
        let flag = Mutex(true)
    }

    /// Starts it. Not cancellable; takes a moment.
    ///
    /// - Parameters:
    ///   - executable: its path.
    ///   - environment: all of its environment.
    ///   - input: the descriptor of its stdin. What is given here stays the caller's, who may close it on return. Nil:
    ///     nothing, as for the others.
    /// - Throws: `SubprocessError` where it cannot be started.
    package init(
        _ executable: String,
        _ arguments: [String],
        environment: [String: String],
        input: Int32? = nil,
        output: Int32? = nil,
        errors: Int32? = nil
    ) async throws {
        let nothing = try FileDescriptor.open("/dev/null", .readWrite, options: .closeOnExec)
        defer { try? nothing.close() }
        let streams = [input, output, errors].map { $0.map { FileDescriptor(rawValue: $0) } ?? nothing }
        let configuration = Configuration(executable: executable, arguments: arguments, environment: environment)
        let running = Running()
        // Its life is not that of a call, which could be cancelled.
        var ending: Task<End, Never>!
        let started = await withCheckedContinuation { continuation in
            ending = Task {
                let end = await Self.run(configuration, streams) { continuation.resume(returning: $0) }
                running.flag.withLock { $0 = false }
                return end
            }
        }
        processID = try started.get()
        self.running = running
        self.ending = ending
    }

    /// - Parameter started: is told once, of its process id or why there is none.
    private static func run(
        _ configuration: Configuration,
        _ streams: [FileDescriptor],
        started: (Result<Int32, any Error>) -> Void
    ) async -> End {
        var isStarted = false
        do {
            let result = try await Subprocess.run(
                configuration,
                input: .fileDescriptor(streams[0], closeAfterSpawningProcess: false),
                output: .fileDescriptor(streams[1], closeAfterSpawningProcess: false),
                error: .fileDescriptor(streams[2], closeAfterSpawningProcess: false)
            ) { execution in
                isStarted = true
                started(.success(execution.processIdentifier.value))
            }
            return End(result.terminationStatus)
        } catch {
            if !isStarted { started(.failure(error)) }
            return .unknown
        }
    }

    package var isRunning: Bool { running.flag.withLock(\.self) }

    /// Does nothing once it has ended.
    package func send(_ signal: Int32) {
        // Its number is free a moment before this is known here; no system gives it away so soon.
        running.flag.withLock { if $0 { _ = kill(processID, signal) } }
    }

    package func terminate() { send(SIGTERM) }

    /// How it ended, once it has. Not cancellable.
    package var end: End { get async { await ending.value } }
}

extension ChildProcess.End {
    fileprivate init(_ status: TerminationStatus) {
        switch status {
        case .exited(let code): self = .exited(code)
        case .signaled(let signal): self = .killed(signal: signal)
        }
    }
}
