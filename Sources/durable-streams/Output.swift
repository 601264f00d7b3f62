import Foundation
import Synchronization

/// A file descriptor that lines are written to, in order, by a thread of its own.
///
/// What is handed to it while nothing is being written is written at once; what comes during a write goes with the next
/// one. So no line waits for another, and many lines need few system calls. Used for stdout by every subcommand that has
/// data; whoever hands it whole lines gets whole lines, from any number of tasks.
final class Output: Sendable {
    /// Stdout. Never more than one for a process, or lines would mix.
    static let standard = Output(STDOUT_FILENO)

    private struct State {
        var waiting: [UInt8] = []
        var isWriting = false
        var failure: OutputError?
        /// How many bytes have been written so far.
        var byteCount = 0
        var keepsLinesWhole = false
        var spaceWaiters: [CheckedContinuation<Void, Never>] = []
        var endWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private let descriptor: Int32
    private let state = Mutex(State())
    // A queue of its own: a reader that has stopped reading blocks this thread and no other.
    private let queue = DispatchQueue(label: "durable-streams.output")

    /// With more than this waiting, in bytes, `write` waits too.
    private static let capacity = 1 << 20

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Takes bytes to be written as soon as possible. Waits, as long as it takes, where the reader is far behind.
    ///
    /// - Throws: `OutputError` when writing has failed, now or before.
    func write(_ bytes: [UInt8]) async throws {
        let (isIdle, isFull) = try state.withLock { state in
            if let failure = state.failure { throw failure }
            state.waiting += bytes
            defer { state.isWriting = true }
            return (!state.isWriting, state.waiting.count > Self.capacity)
        }
        if isIdle { queue.async { self.drain() } }
        if isFull { await waitForSpace() }
    }

    private func waitForSpace() async {
        await withCheckedContinuation { continuation in
            let mustWait = state.withLock { state in
                guard state.waiting.count > Self.capacity, state.failure == nil else { return false }
                state.spaceWaiters.append(continuation)
                return true
            }
            if !mustWait { continuation.resume() }
        }
    }

    /// From here on no line is cut in its middle where the program is ended while a pipe's reader is slow, unless it is longer
    /// than what a pipe takes at once or not at all. That takes more system calls.
    func keepLinesWhole() { state.withLock { $0.keepsLinesWhole = true } }

    /// How many bytes have been written so far.
    var byteCount: Int { state.withLock(\.byteCount) }

    /// Returns when all that was handed over has been written.
    ///
    /// - Throws: `OutputError` when that failed.
    func finish() async throws {
        await withCheckedContinuation { continuation in
            let mustWait = state.withLock { state in
                guard state.isWriting else { return false }
                state.endWaiters.append(continuation)
                return true
            }
            if !mustWait { continuation.resume() }
        }
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// - Throws: `OutputError` where what is written now would be lost: writing has failed, or nobody reads any more.
    func check() throws {
        if let failure = state.withLock({ $0.failure }) { throw failure }
        var looked = pollfd(fd: descriptor, events: 0, revents: 0)
        guard poll(&looked, 1, 0) > 0 else { return }
        if looked.revents & Int16(POLLNVAL) != 0 { throw OutputError(code: EBADF) }
        if looked.revents & Int16(POLLERR) != 0 { throw OutputError(code: EPIPE) }
    }

    /// Returns when nobody can read what we write any more. Never, where that cannot be told: a file, a terminal.
    ///
    /// For those who write seldom: they would notice only with their next line.
    func readerGone() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let descriptor = descriptor
            Thread.detachNewThread {
                var watched = pollfd(fd: descriptor, events: 0, revents: 0)
                let gone = Int16(POLLERR | POLLHUP | POLLNVAL)
                repeat { _ = poll(&watched, 1, -1) } while watched.revents & gone == 0
                continuation.resume()
            }
        }
    }

    /// On the queue: writes until nothing waits.
    private func drain() {
        while true {
            let (bytes, waiters) = state.withLock { state in
                let bytes = state.waiting
                state.waiting = []
                var waiters = state.spaceWaiters
                state.spaceWaiters = []
                if bytes.isEmpty {
                    state.isWriting = false
                    waiters += state.endWaiters
                    state.endWaiters = []
                }
                return (bytes, waiters)
            }
            for waiter in waiters { waiter.resume() }
            guard !bytes.isEmpty else { return }
            if let failure = writeAll(bytes) {
                state.withLock { state in
                    state.failure = failure
                    state.waiting = []
                }
            }
        }
    }

    private func writeAll(_ bytes: [UInt8]) -> OutputError? {
        let keepsLinesWhole = state.withLock(\.keepsLinesWhole)
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = keepsLinesWhole ? Self.wholeLines(of: rest) : rest
            let count = piece.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest = rest.dropFirst(count)
                state.withLock { $0.byteCount += count }
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&waiting, 1, -1)
            default: return OutputError(code: errno)
            }
        }
        return nil
    }

    /// As many as a pipe takes at once or not at all.
    private static func wholeLines(of bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let most = bytes.prefix(Int(PIPE_BUF))
        guard most.count < bytes.count, let end = most.lastIndex(of: UInt8(ascii: "\n")) else { return most }
        return most[...end]
    }
}

/// Why output could not be written.
struct OutputError: Error, CustomStringConvertible {
    let code: Int32

    /// The reader has closed its end, as `head` does when it has had enough.
    var isReaderGone: Bool { code == EPIPE }

    var description: String { "stdout cannot be written: \(String(cString: strerror(code)))" }
}
