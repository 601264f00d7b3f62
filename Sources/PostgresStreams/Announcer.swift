import LibPQ
import Logging
import Metrics
import Synchronization

/// Tells the tails of all processes which streams have new events: by NOTIFY, once they are committed.
///
/// In a transaction of its own, since in the append's a NOTIFY would hold a lock of the whole cluster until the commit is
/// flushed. That transaction goes behind an append's on the same connection, where it wakes nobody and nobody waits for
/// its answer. It goes over a connection of its own where it would keep the next append waiting: where many streams move,
/// since then the connection that appends is what all wait for, and for a while where it was slow, because others hold that
/// lock.
///
/// One is under way at a time; what moves meanwhile is in the next. After one of many streams the next waits a little, so
/// that the cost does not grow with the appends'.
final class Announcer: Sendable {
    private struct State {
        /// Digests of names, in the order they came; each once.
        var waiting: [UInt64] = []
        var isWaiting: Set<UInt64> = []
        var isUnderWay = false
        /// What waits is to be sent as soon as that one is answered: no append will take it along.
        var isDue = false
        /// When the append was answered that the one under way is behind.
        var behind: ContinuousClock.Instant?
        var notBefore = ContinuousClock.now
        /// Until then on a connection of its own.
        var apartUntil = ContinuousClock.now
        var flushers: [@Sendable () -> Void] = []

        mutating func wait(for digest: UInt64) {
            if isWaiting.insert(digest).inserted { waiting.append(digest) }
        }

        mutating func take(atMost count: Int) -> [UInt64] {
            guard waiting.count > count else {
                isWaiting.removeAll(keepingCapacity: true)
                defer { waiting = [] }
                return waiting
            }
            let first = Array(waiting.prefix(count))
            waiting.removeFirst(count)
            isWaiting.subtract(first)
            return first
        }

        func isReady(at now: ContinuousClock.Instant) -> Bool {
            !isUnderWay && notBefore <= now && apartUntil <= now
        }

        /// A notification costs the server, and each process that listens, about the same whatever it holds: where many
        /// streams move, the next waits for more of them.
        mutating func depart(_ digests: [UInt64], at now: ContinuousClock.Instant) -> [UInt64] {
            guard !digests.isEmpty else { return [] }
            isUnderWay = true
            notBefore = now + min(.milliseconds(2), .microseconds(30 * (digests.count - 1)))
            return digests
        }
    }

    private let state = Mutex(State())
    let requester: Requester
    private let statements: Statements
    private let channel: String
    private let logger: Logger
    private let failures = Counter(label: "durable_streams_notify_failures")

    /// Of so many streams a notification is worth a connection's while.
    private static let many = 8
    /// Behind an append's answer it takes a fraction of a millisecond.
    private static let slow = Duration.milliseconds(5)
    private static let apart = Duration.seconds(10)

    init(_ options: Link.Options) {
        var options = options
        options.purpose = "notify"
        requester = Requester(options)
        statements = options.statements
        channel = options.schema.text
        logger = options.logger
    }

    // MARK: What has moved

    /// These streams have new events. Never waits. A notification that is lost is made up for by the tails' own checks.
    func announce(_ streams: some Sequence<StreamName>) {
        state.withLock { state in for stream in streams { state.wait(for: stream.digest) } }
        send()
    }

    /// The same, but nothing is sent yet: few go with the next batch that an appender asks for, which it soon does.
    ///
    /// - Returns: whether they are to be sent now.
    func note(_ streams: some Sequence<StreamName>) -> Bool {
        state.withLock { state in
            for stream in streams { state.wait(for: stream.digest) }
            let now = ContinuousClock.now
            return state.apartUntil > now
                || (state.waiting.count >= Self.many && !state.isUnderWay && state.notBefore <= now)
        }
    }

    var hasWaiting: Bool { state.withLock { !$0.waiting.isEmpty } }

    // MARK: Behind appends

    /// To be sent right behind an append to these streams; nil where it is not the time for one, or they are many.
    func batch(behindAppendTo streams: some Collection<StreamName>) -> Batch? {
        guard streams.count < Self.many else { return nil }
        let now = ContinuousClock.now
        let digests: [UInt64] = state.withLock { state in
            guard state.isReady(at: now) else { return [] }
            var digests = streams.map(\.digest)
            if !state.waiting.isEmpty {
                state.isWaiting.subtract(digests)
                state.waiting.removeAll { !state.isWaiting.contains($0) }
            }
            digests += state.take(atMost: max(0, HintPayload.capacity - digests.count))
            return state.depart(digests, at: now)
        }
        return batch(of: digests)
    }

    /// To be sent on a connection that has nothing else to do; nil where there is nothing to tell.
    func batch() -> Batch? {
        let digests: [UInt64] = state.withLock { state in
            guard !state.isUnderWay else { return [] }
            return state.depart(state.take(atMost: HintPayload.capacity), at: .now)
        }
        return batch(of: digests)
    }

    /// The append is answered that the notification under way is behind.
    func appendIsAnswered(at time: ContinuousClock.Instant) {
        state.withLock { if $0.isUnderWay { $0.behind = time } }
    }

    private func batch(of digests: [UInt64]) -> Batch? {
        guard !digests.isEmpty else { return nil }
        return Batch([(statements.notify, parameters(HintPayload(digests: digests)))]) { [weak self] outcome in
            guard let self else { return }
            switch outcome {
            case .success: sent()
            // It is tried again on its own connection, which deals with failures.
            case .failure: send(HintPayload(digests: digests))
            }
        }
    }

    // MARK: On a connection of its own

    /// Sends what waits, now or when the one that is under way has been answered.
    func send() {
        let digests: [UInt64] = state.withLock { state in
            guard !state.waiting.isEmpty else { return [] }
            guard !state.isUnderWay else {
                state.isDue = true
                return []
            }
            let digests = state.take(atMost: HintPayload.capacity)
            state.isDue = !state.waiting.isEmpty
            return state.depart(digests, at: .now)
        }
        if !digests.isEmpty { send(HintPayload(digests: digests)) }
    }

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
            sent()
        }
    }

    private func parameters(_ payload: HintPayload) -> Parameters {
        var parameters = Parameters()
        parameters.append(channel)
        parameters.append(payload.text)
        return parameters
    }

    private func sent() {
        let (isDue, flushers): (Bool, [@Sendable () -> Void]) = state.withLock { state in
            state.isUnderWay = false
            if let behind = state.behind, behind + Self.slow < .now { state.apartUntil = .now + Self.apart }
            state.behind = nil
            guard state.waiting.isEmpty else { return (state.isDue || state.apartUntil > .now, []) }
            defer { state.flushers = [] }
            return (false, state.flushers)
        }
        if isDue { send() }
        for flusher in flushers { flusher() }
    }

    /// Returns when everything announced so far has been sent, or could not be.
    func flush() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isIdle = state.withLock { state in
                guard state.isUnderWay || !state.waiting.isEmpty else { return true }
                state.flushers.append { continuation.resume() }
                return false
            }
            if isIdle { continuation.resume() } else { send() }
        }
    }

    func close() { requester.close() }

    private static let queueFull = "54000"

    /// A full queue stays so, even when the session that did not read it is gone, until somebody asks for its usage.
    func clearQueue() { requester.send(statements.clearNotificationQueue, Parameters()) { _ in } }
}
