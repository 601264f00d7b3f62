import Foundation
import Synchronization

/// Reads a file descriptor line by line on a thread of its own and makes an element of each line there.
///
/// Used for the events on stdin and for what the demo's processes print. While its consumer is busy it reads on, so that
/// `next` hands over all there is: one line where a program waits for each answer, a batch where a file is read. What is
/// read ahead is bounded; the thread then waits. It never blocks the caller's thread and never closes the descriptor.
final class LineReader<Element: Sendable>: Sendable {
    /// Makes the element. `number` counts from 1; the bytes are valid only during the call. What it throws ends the
    /// reading, after everything before that line has been handed over.
    typealias Parse = @Sendable (_ line: UnsafeBufferPointer<UInt8>, _ number: Int) throws -> Element

    struct Limits: Sendable {
        /// A longer line is an error, in bytes without its line feed.
        var lineBytes: Int
        /// When one of these is reached, the thread waits until `next` takes what there is. That can be up to twice as
        /// much, and a line.
        var batchCount = 1000
        var batchBytes = 1 << 20
    }

    private struct State {
        var elements: [Element] = []
        var byteCount = 0
        /// Set when nothing more comes.
        var end: Result<Void, any Error>?
        var isCancelled = false
        var consumer: CheckedContinuation<[Element]?, any Error>?
        var isThreadWaiting = false
    }

    private let state = Mutex(State())
    private let space = DispatchSemaphore(value: 0)
    private let descriptor: Int32
    private let limits: Limits
    private let parse: Parse

    init(_ descriptor: Int32, limits: Limits, parse: @escaping Parse) {
        self.descriptor = descriptor
        self.limits = limits
        self.parse = parse
        Thread.detachNewThread { [self] in run() }
    }

    // MARK: For the consumer

    /// What has been read since the last call, at least one element; nil at the end. One caller at a time.
    ///
    /// - Throws: `LineError` for what cannot be read, what `parse` threw, `CancellationError` when the task was cancelled.
    func next() async throws -> [Element]? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { consumer in
                let answer = state.withLock { state -> Answer? in
                    let answer = Self.take(&state)
                    if answer == nil { state.consumer = consumer }
                    return answer
                }
                give(answer, to: consumer)
            }
        } onCancel: {
            let consumer = state.withLock { state in
                state.isCancelled = true
                defer { state.consumer = nil }
                return state.consumer
            }
            consumer?.resume(throwing: CancellationError())
        }
    }

    private struct Answer {
        var result: Result<[Element]?, any Error>
        var wakesThread: Bool
    }

    /// What `next` can answer now; nil when it has to wait.
    private static func take(_ state: inout State) -> Answer? {
        if state.isCancelled { return Answer(result: .failure(CancellationError()), wakesThread: false) }
        guard state.elements.isEmpty else {
            let answer = Answer(result: .success(state.elements), wakesThread: state.isThreadWaiting)
            state.elements = []
            state.byteCount = 0
            state.isThreadWaiting = false
            return answer
        }
        return state.end.map { Answer(result: $0.map { nil }, wakesThread: false) }
    }

    private func give(_ answer: Answer?, to consumer: CheckedContinuation<[Element]?, any Error>) {
        guard let answer else { return }
        if answer.wakesThread { space.signal() }
        consumer.resume(with: answer.result)
    }

    // MARK: The thread

    private func run() {
        do {
            try readLines()
            publish([], byteCount: 0, end: .success(()))
        } catch {
            publish([], byteCount: 0, end: .failure(error))
        }
    }

    private func readLines() throws {
        var lines = LineBuffer(limit: limits.lineBytes)
        repeat {
            while try publishLines(of: &lines) {}
        } while try lines.fill(from: descriptor)
    }

    /// Parses whole lines up to a batch, and publishes them. False when there are no more for now.
    private func publishLines(of lines: inout LineBuffer) throws -> Bool {
        var batch: [Element] = []
        var byteCount = 0
        do {
            while batch.count < limits.batchCount, byteCount < limits.batchBytes {
                let parsed = try lines.next { line, number in (try parse(line, number), line.count) }
                guard let (element, count) = parsed else {
                    publish(batch, byteCount: byteCount)
                    return false
                }
                batch.append(element)
                byteCount += count
            }
        } catch {
            // What was read before a bad line counts.
            publish(batch, byteCount: byteCount)
            throw error
        }
        publish(batch, byteCount: byteCount)
        return true
    }

    /// Hands elements to the consumer, having waited for room.
    private func publish(_ batch: [Element], byteCount: Int, end: Result<Void, any Error>? = nil) {
        guard !batch.isEmpty || end != nil else { return }
        while true {
            let mustWait = state.withLock { state in
                // A full one is waited for; otherwise this is added, or every other batch would be a small one.
                let isFull = state.elements.count >= limits.batchCount || state.byteCount >= limits.batchBytes
                state.isThreadWaiting = isFull && end == nil && !state.isCancelled
                return state.isThreadWaiting
            }
            guard mustWait else { break }
            space.wait()
        }
        let (consumer, answer) = state.withLock { state in
            state.elements += batch
            state.byteCount += byteCount
            if let end { state.end = end }
            guard let consumer = state.consumer, let answer = Self.take(&state) else {
                return (CheckedContinuation<[Element]?, any Error>?.none, Answer?.none)
            }
            state.consumer = nil
            return (consumer, answer)
        }
        if let consumer { give(answer, to: consumer) }
    }
}
