import LibPQ
import Logging
import Synchronization

/// Tells the tails of all processes which streams have new events: by NOTIFY, once they are committed.
///
/// In a transaction of its own, since in the append's a NOTIFY would hold a lock of the whole cluster until the commit is
/// flushed: behind an append's, or over a connection of its own, as `AnnouncementQueue` says.
final class Announcer: Sendable {
    private struct State {
        var queue = AnnouncementQueue()
        var flushers: [Flusher] = []
        var trouble = AnnouncementTrouble()
        /// Announcements that may be ours are numbered on from here.
        var firstNumber = UInt64.random(in: .min ... .max)
        var numberCount: UInt64 = 0
        /// Of what waits: streams whose announcement was lost with the append that it was behind. Nobody here may have been told
        /// of that.
        var untold: Set<UInt64> = []
    }

    /// Waits until all is announced that was there when it came.
    private struct Flusher {
        var number: Int
        var done: @Sendable () -> Void
    }

    private let state = Mutex(State())
    let requester: Requester
    private let statements: Statements
    private let channel: String
    private let logger: Logger
    private let metrics: JournalMetrics

    init(_ options: Link.Options) {
        var options = options
        options.purpose = "notify"
        requester = Requester(options)
        statements = options.statements
        channel = options.schema.text
        logger = options.logger
        metrics = options.metrics
    }

    // MARK: What has moved

    /// These streams have new events. Never waits. A notification that is lost is made up for by the tails' own checks.
    func announce(_ streams: some Sequence<StreamName>) {
        state.withLock { $0.queue.add(streams.lazy.map(\.digest)) }
        send()
    }

    /// Whether this process's tails need not heed a notification: it is ours, and they have been told of what it is about, which
    /// they are by the append's answer.
    func wasTold(_ payload: HintPayload) -> Bool {
        guard let number = payload.number else { return false }
        return state.withLock { state in
            // From 1 on; a greater one is not ours.
            let count = number &- state.firstNumber
            guard count > 0, count <= state.numberCount else { return false }
            return count < state.numberCount || !state.queue.awaitsAppend
        }
    }

    /// What has been sent so far passes for another's from here on.
    func disown() {
        state.withLock { state in
            (state.firstNumber, state.numberCount) = (.random(in: .min ... .max), 0)
        }
    }

    var hasWaiting: Bool { state.withLock { $0.queue.hasWaiting } }

    // MARK: Over a connection that appends

    /// To be sent right behind a departure to these streams; nil where it is not the time for it, or they are many.
    func batch(behind departure: Int, to streams: some Collection<StreamName>) -> Batch? {
        let digests = state.withLock { state in
            let now = ContinuousClock.now
            // Before the digests are gathered: each departure asks.
            guard state.queue.goBehind(streams.count, at: now) else { return [UInt64]() }
            return state.queue.takeBehind(departure, to: streams.map(\.digest), at: now)
        }
        return batch(of: digests)
    }

    /// The departure is committed. Where no announcement is behind it, its streams are told of by the next one that an appender
    /// asks for, which it soon does, unless they are many.
    ///
    /// - Parameter isAlone: no announcement goes behind its like.
    /// - Returns: whether what waits is to be sent now.
    func appended(
        _ departure: Int,
        to streams: some Sequence<StreamName>,
        isAlone: Bool,
        at time: ContinuousClock.Instant
    ) -> Bool {
        state.withLock { $0.queue.appended(departure, to: streams.lazy.map(\.digest), isAlone: isAlone, at: time) }
    }

    /// To be sent where there is nothing else to do; nil where there is nothing to tell.
    func batch() -> Batch? { batch(of: state.withLock { $0.queue.takeWhileIdle(at: .now) }) }

    private func batch(of digests: [UInt64]) -> Batch? {
        guard !digests.isEmpty else { return nil }
        return Batch([notification(payload(of: digests))]) { [weak self] outcome in
            guard let self else { return }
            switch outcome {
            case .success: sent(worked: true)
            // It is tried again on its own connection, which deals with failures. What it is behind may have been lost with it,
            // and be committed just then.
            case .failure: send(HintPayload(digests: digests))
            }
        }
    }

    // MARK: On a connection of its own

    /// Sends what waits, now or when the one that is under way has been answered.
    func send() {
        let digests = state.withLock { $0.queue.takeApart(at: .now) }
        if !digests.isEmpty { send(payload(of: digests)) }
    }

    private func send(_ payload: HintPayload, isRepeated: Bool = false) {
        // One that is not there may be long in coming, and appends have theirs.
        let patience = requester.isConnected ? Self.patience : Self.patienceToConnect
        requester.send([notification(payload)], deadline: .now + patience) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success: return sent(worked: true)
            case .failure(let error) where error.code == .closed: break
            case .failure(let error):
                if error.sqlState == Self.queueFull {
                    clearQueue()
                    if !isRepeated { return send(payload, isRepeated: true) }
                }
                if !requester.isConnected {
                    state.withLock { state in
                        state.queue.cutOff(payload, at: .now)
                        if payload.number == nil { state.untold.formUnion(payload) }
                    }
                }
                failed(error)
            }
            sent(worked: false)
        }
    }

    private static let patience = Duration.seconds(30)
    private static let patienceToConnect = Duration.seconds(1)

    private func failed(_ error: JournalError) {
        metrics.notifyFailed()
        guard case .fails(let count)? = state.withLock({ $0.trouble.failed(error.sqlState, at: .now) }) else { return }
        logger.warning(
            "NOTIFY failed; tails find the events at their next check",
            metadata: ["reason": "\(error.message)", "failures": "\(count)"]
        )
    }

    /// With a number where appends tell this process's tails of all these, so that they may pass it over.
    private func payload(of digests: [UInt64]) -> HintPayload {
        let number: UInt64? = state.withLock { state in
            guard state.untold.isDisjoint(with: digests) else {
                state.untold.subtract(digests)
                return nil
            }
            state.numberCount += 1
            return state.firstNumber &+ state.numberCount
        }
        return HintPayload(digests: digests, number: number)
    }

    private func notification(_ payload: HintPayload) -> Batch.Command {
        var parameters = Parameters()
        parameters.append(channel)
        parameters.append(payload.text)
        return (statements.notify, parameters)
    }

    private func sent(worked: Bool) {
        let (saying, isDue, flushers): (AnnouncementTrouble.Saying?, Bool, [Flusher]) = state.withLock { state in
            let saying = worked ? state.trouble.succeeded() : nil
            var isDue = state.queue.sent(at: .now)
            // Not announced, it is over all the same.
            let over = state.flushers.filter { !worked || state.queue.isAnnounced(through: $0.number) }
            state.flushers.removeAll { !worked || state.queue.isAnnounced(through: $0.number) }
            if !state.flushers.isEmpty { isDue = true }
            return (saying, isDue, over)
        }
        if saying == .worksAgain { logger.notice("NOTIFY works again") }
        if isDue { send() }
        for flusher in flushers { flusher.done() }
    }

    /// Returns when everything announced so far has been sent, or could not be.
    func flush() async {
        let isDone = Once<Void>()
        flush { isDone.set(()) }
        await isDone.value
    }

    /// The same for whoever closes the journal: for a second at most, and not where the connection is lost. What is not sent
    /// then is made up for by the tails' own checks.
    func flushBriefly() async {
        guard !requester.isCutOff else { return }
        let isDone = Once<Void>()
        guard !flush({ isDone.set(()) }) else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await isDone.value }
            group.addTask {
                try? await Task.sleep(for: .seconds(1))
                isDone.set(())
            }
            await group.next()
            group.cancelAll()
        }
    }

    /// - Returns: whether there was nothing to send, so that it is done.
    @discardableResult
    private func flush(_ done: @escaping @Sendable () -> Void) -> Bool {
        let isIdle = state.withLock { state in
            if !state.queue.isIdle { state.flushers.append(Flusher(number: state.queue.lastNumber, done: done)) }
            return state.queue.isIdle
        }
        if isIdle { done() } else { send() }
        return isIdle
    }

    func close() { requester.close() }

    private static let queueFull = "54000"

    /// A full queue stays so, even when the session that did not read it is gone, until somebody asks for its usage.
    func clearQueue() { requester.send(statements.clearNotificationQueue, Parameters()) { _ in } }
}
