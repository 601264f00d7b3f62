import DequeModule
import LibPQ
import Logging
import Metrics
import Synchronization

/// Tells the tails of all processes which streams have new events: by NOTIFY, once they are committed.
///
/// Mostly on a connection of its own: in the append's transaction a NOTIFY would hold a lock of the whole cluster until the
/// commit is flushed, and behind it, on the same connection, it would delay the next append by its own transaction. One
/// is under way at a time; what moves meanwhile is in the next, so that its cost does not grow with the appends'.
final class Announcer: Sendable {
    private struct State {
        /// Digests of names, in the order they came; each once.
        var waiting: Deque<String> = []
        var isWaiting: Set<String> = []
        var isUnderWay = false
        var flushers: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())
    let requester: Requester
    private let statements: Statements
    private let channel: String
    private let logger: Logger
    private let failures = Counter(label: "durable_streams_notify_failures")

    /// A payload has less than 8,000 bytes: 400 digests of 16, with commas between.
    private static let digestsPerPayload = 400

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
        return Batch([(statements.notify, parameters(stream.digest))]) { [weak self] outcome in
            switch outcome {
            case .success: self?.sent()
            case .failure: self?.send(stream.digest)
            }
        }
    }

    /// Returns when everything announced so far has been sent, or could not be.
    func flush() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isIdle = state.withLock { state in
                guard state.isUnderWay else { return true }
                state.flushers.append { continuation.resume() }
                return false
            }
            if isIdle { continuation.resume() }
        }
    }

    func close() { requester.close() }

    private func sendNext() {
        let payload: String? = state.withLock { state in
            guard !state.isUnderWay, !state.waiting.isEmpty else { return nil }
            let digests = state.waiting.prefix(Self.digestsPerPayload)
            state.waiting.removeFirst(digests.count)
            state.isWaiting.subtract(digests)
            state.isUnderWay = true
            return digests.joined(separator: ",")
        }
        if let payload { send(payload) }
    }

    private func parameters(_ payload: String) -> Parameters {
        var parameters = Parameters()
        parameters.append(channel)
        parameters.append(payload)
        return parameters
    }

    private func send(_ payload: String, isRepeated: Bool = false) {
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
            sent()
        }
    }

    private func sent() {
        let flushers: [@Sendable () -> Void] = state.withLock { state in
            state.isUnderWay = false
            guard state.waiting.isEmpty else { return [] }
            defer { state.flushers = [] }
            return state.flushers
        }
        sendNext()
        for flusher in flushers { flusher() }
    }

    private static let queueFull = "54000"

    /// A full queue stays so, even when the session that did not read it is gone, until somebody asks for its usage.
    func clearQueue() { requester.send(statements.clearNotificationQueue, Parameters()) { _ in } }
}
