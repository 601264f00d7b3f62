import PostgresStreams
import StreamHistory
import Synchronization

/// The history of a run and the counts beside it, shared by all its tasks.
final class StressLedger: Sendable {
    struct Unsettled: Sendable {
        var append: Int
        var receipt: AppendReceipt
    }

    struct State: Sendable {
        var history = History()
        var counts: [String: Int] = [:]
        var disruptions: [String: Int] = [:]
        var longest: [String: Duration] = [:]
        var trace: [String] = []
        var latencies = Histogram()
        var unsettled: [Unsettled] = []
        /// The first event of each transaction.
        var transactions: Set<EventID> = []
        var lastAcknowledgement: ContinuousClock.Instant
        var longestSilence = Duration.zero
    }

    /// A struct, not a tuple: a function that is itself a generic argument, or in a tuple that is one, is wrapped once more
    /// each time `withLock` hands it out and takes it back. After some ten thousand looks at the clock, letting go of that
    /// chain overflowed the stack.
    private struct End {
        var time: ContinuousClock.Instant
        var stop: (@Sendable () -> Void)?
    }

    let startedAt = ContinuousClock.now
    private let state: Mutex<State>
    private let end: Mutex<End>

    init(duration: Duration) {
        state = Mutex(State(lastAcknowledgement: startedAt))
        end = Mutex(End(time: startedAt + duration))
    }

    /// Whether there is time left to begin something new.
    func isRunning(after pause: Duration = .zero) -> Bool { ContinuousClock.now + pause < end.withLock { $0.time } }

    /// So much, or what is left of it.
    func atMostTheTimeLeft(_ pause: Duration) -> Duration {
        max(.zero, min(pause, end.withLock { $0.time } - .now))
    }

    var isEndedEarly: Bool { end.withLock { $0.time == startedAt } }

    /// Nothing new is to begin.
    func endNow() {
        let stop = end.withLock { end in
            end.time = startedAt
            return end.stop
        }
        stop?()
    }

    /// Runs what begins new things; where it is ended before its time, it is cancelled.
    func running(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let task = Task { try await body() }
        end.withLock { $0.stop = { task.cancel() } }
        if isEndedEarly { task.cancel() }
        try await task.value
    }

    /// A copy, once all is over.
    var all: State { state.withLock { $0 } }

    func record<R: Sendable>(_ body: (inout History) -> R) -> R { state.withLock { body(&$0.history) } }

    func count(_ name: String, _ number: Int = 1) { state.withLock { $0.counts[name, default: 0] += number } }

    func beginTransaction(of first: EventID) {
        state.withLock { state in
            state.transactions.insert(first)
            state.counts["transactions", default: 0] += 1
        }
    }

    func acknowledge(_ append: Int, at positions: Range<Int>, after time: Duration) {
        state.withLock { state in
            state.history.acknowledge(append, at: positions)
            state.counts["appends acknowledged", default: 0] += 1
            state.counts["events acknowledged", default: 0] += positions.count
            state.latencies.add(time)
            let now = ContinuousClock.now
            state.longestSilence = max(state.longestSilence, now - state.lastAcknowledgement)
            state.lastAcknowledgement = now
        }
    }

    func fail(_ append: Int, _ error: JournalError) {
        state.withLock { state in
            let outcome: History.Outcome? =
                switch error.outcome {
                case nil: nil
                case .notWritten: .notWritten
                case .written: .written
                case .unknown: .unknown
                }
            let refusal: History.Refusal? =
                switch error.code {
                case .fenced: .fenced
                case .conflict: .conflict
                default: nil
                }
            state.history.fail(append, outcome, refusal, hasReceipt: error.receipt != nil)
            if error.outcome == .unknown, let receipt = error.receipt {
                state.unsettled.append(Unsettled(append: append, receipt: receipt))
            }
            state.counts[
                "appends failed, \(error.kind), \(error.outcome.map { "\($0)" } ?? "no outcome")",
                default: 0
            ] += 1
        }
    }

    func takeUnsettled() -> [Unsettled] {
        state.withLock { state in
            defer { state.unsettled = [] }
            return state.unsettled
        }
    }

    func disrupted(_ name: String) {
        state.withLock { state in
            state.disruptions[name, default: 0] += 1
            trace(name, &state)
        }
    }

    /// Runs `body` and remembers how long it took, where it was the longest of its name.
    func timing<R>(_ name: String, _ body: () async throws -> R) async rethrows -> R {
        let start = ContinuousClock.now
        defer {
            let time = ContinuousClock.now - start
            state.withLock { $0.longest[name] = max($0.longest[name] ?? .zero, time) }
        }
        return try await body()
    }

    func note(_ text: String) { state.withLock { trace(text, &$0) } }

    private func trace(_ text: String, _ state: inout State) {
        let seconds = ((ContinuousClock.now - startedAt) / .milliseconds(100)).rounded() / 10
        state.trace.append("+\(seconds) s \(text)")
        if state.trace.count > 400 { state.trace.removeFirst(200) }
    }
}

extension JournalError {
    /// Its code, and the server's where it refused: what a report counts it under.
    var kind: String { code == .refused ? "\(code) (\(sqlState ?? "no SQLSTATE"))" : "\(code)" }
}
