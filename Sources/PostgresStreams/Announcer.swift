import LibPQ
import Logging
import Metrics
import Synchronization

/// Tells the tails of all processes which streams have new events: by NOTIFY, once they are committed.
///
/// In a transaction of its own: in the append's a NOTIFY would hold a lock of the whole cluster until the commit is flushed.
/// Behind a lone append it goes on the same connection; behind a segment of many, which others wait to follow, on one of
/// its own. One is under way at a time; what moves meanwhile is in the next, so that its cost does not grow with the
/// appends'.
final class Announcer: Sendable {
    private struct State {
        /// Digests of names, in the order they came; each once.
        var waiting: [UInt64] = []
        var isWaiting: Set<UInt64> = []
        var isUnderWay = false
        /// The last one was large, and the next is not sent before the alarm.
        var isPausing = false
        var flushers: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())
    let requester: Requester
    private let statements: Statements
    private let channel: String
    private let logger: Logger
    private let failures = Counter(label: "durable_streams_notify_failures")

    init(_ options: Link.Options) {
        var options = options
        options.purpose = "notify"
        requester = Requester(options)
        statements = options.statements
        channel = options.schema.text
        logger = options.logger
    }

    /// Never waits. A notification that is lost is made up for by the tails' own checks.
    func announce(_ streams: some Sequence<StreamName>) {
        state.withLock { state in
            for stream in streams where state.isWaiting.insert(stream.digest).inserted {
                state.waiting.append(stream.digest)
            }
        }
        sendNext()
    }

    /// The same for one stream, to be sent behind its append on the append's connection; nil while a notification is under
    /// way. Whatever happens to it, the stream is announced.
    func announcement(of stream: StreamName) -> Batch? {
        let isFree = state.withLock { state in
            guard !state.isUnderWay, state.waiting.isEmpty else { return false }
            state.isUnderWay = true
            return true
        }
        guard isFree else { return nil }
        let payload = HintPayload(digests: CollectionOfOne(stream.digest))
        return Batch([(statements.notify, parameters(payload))]) { [weak self] outcome in
            switch outcome {
            case .success: self?.sent(1)
            case .failure: self?.send(payload)
            }
        }
    }

    /// Returns when everything announced so far has been sent, or could not be.
    func flush() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isIdle = state.withLock { state in
                guard state.isUnderWay || !state.waiting.isEmpty else { return true }
                state.flushers.append { continuation.resume() }
                state.isPausing = false
                return false
            }
            if isIdle { continuation.resume() } else { sendNext() }
        }
    }

    func close() { requester.close() }

    private func sendNext() {
        let digests: [UInt64] = state.withLock { state in
            guard !state.isUnderWay, !state.isPausing, !state.waiting.isEmpty else { return [] }
            state.isUnderWay = true
            guard state.waiting.count > HintPayload.capacity else {
                state.isWaiting.removeAll(keepingCapacity: true)
                defer { state.waiting = [] }
                return state.waiting
            }
            let first = Array(state.waiting.prefix(HintPayload.capacity))
            state.waiting.removeFirst(first.count)
            state.isWaiting.subtract(first)
            return first
        }
        if !digests.isEmpty { send(HintPayload(digests: digests)) }
    }

    private func parameters(_ payload: HintPayload) -> Parameters {
        var parameters = Parameters()
        parameters.append(channel)
        parameters.append(payload.text)
        return parameters
    }

    /// A notification costs the server, and each process that listens, about the same whatever it holds: where many streams
    /// move, it waits for more of them.
    private static func pause(after count: Int) -> Duration { min(.milliseconds(1), .microseconds(20 * (count - 1))) }

    private func send(_ payload: HintPayload, isRepeated: Bool = false) {
        requester.send(statements.notify, parameters(payload), deadline: .now + .seconds(30)) { [weak self] result in
            guard let self else { return }
            if case .failure(let error) = result, error.code != .closed {
                if error.sqlState == Self.queueFull {
                    clearQueue()
                    if !isRepeated { return send(payload, isRepeated: true) }
                }
                failures.increment()
                logger.warning(
                    "NOTIFY failed; tails find the events at their next check",
                    metadata: ["reason": "\(error.message)"]
                )
            }
            sent(payload.count)
        }
    }

    private func sent(_ count: Int) {
        let pause = Self.pause(after: count)
        let flushers: [@Sendable () -> Void] = state.withLock { state in
            state.isUnderWay = false
            if state.waiting.isEmpty {
                state.isPausing = pause > .zero
                defer { state.flushers = [] }
                return state.flushers
            }
            // Who waits for the end is not kept waiting.
            state.isPausing = pause > .zero && state.flushers.isEmpty
            return []
        }
        if state.withLock({ $0.isPausing }) {
            requester.setAlarm(at: .now + pause) { [weak self] in self?.resume() }
        } else {
            sendNext()
        }
        for flusher in flushers { flusher() }
    }

    private func resume() {
        state.withLock { $0.isPausing = false }
        sendNext()
    }

    private static let queueFull = "54000"

    /// A full queue stays so, even when the session that did not read it is gone, until somebody asks for its usage.
    func clearQueue() { requester.send(statements.clearNotificationQueue, Parameters()) { _ in } }
}
