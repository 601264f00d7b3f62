import Synchronization

/// A ``DurableStream`` in memory, for tests and examples: it outlives nothing but tasks.
///
/// Safe to use from many tasks. It can be told to fail, so that a test can show that an executor persists before
/// it resumes. Neither operation suspends or looks at cancellation: an append that was called is recorded.
public final class InMemoryStream: DurableStream {
    fileprivate struct State {
        var events: [DurableEvent]
        var appendCount = 0
        var failures: [Failures] = []
    }

    /// Failures asked for by one call.
    fileprivate struct Failures {
        var remaining: Int
        let error: any Error
        let afterRecording: Bool
    }

    private let state: Mutex<State>

    /// A stream that begins with these events, at position 0.
    public init(_ events: some Sequence<DurableEvent>) {
        state = Mutex(State(events: Array(events)))
    }

    /// An empty stream.
    public convenience init() {
        self.init([])
    }

    /// How many events were recorded by ``append(_:)`` since the stream was made or reset. The events it began with do
    /// not count; an append that recorded its event and then failed does.
    public var appendCount: Int {
        state.withLock { $0.appendCount }
    }

    /// Records the event and returns its position, or fails as ``failAppends(_:with:afterRecording:)`` asked.
    @discardableResult
    public func append(_ event: DurableEvent) async throws -> Int {
        try state.withLock { state in
            let failure = state.nextFailure()
            if let failure, !failure.afterRecording { throw failure.error }
            state.events.append(event)
            state.appendCount += 1
            if let failure { throw failure.error }
            return state.events.count - 1
        }
    }

    public func readAll() async throws -> [DurableEvent] {
        snapshot()
    }

    /// The events recorded so far, in order. Later appends do not change what was returned.
    public func snapshot() -> [DurableEvent] {
        state.withLock { $0.events }
    }

    /// Makes the next `count` appends throw `error`; a second call adds failures after those already asked for.
    ///
    /// - Parameters:
    ///   - count: how many; `Int.max` for all until ``reset(to:)``, none if not positive.
    ///   - error: what they throw.
    ///   - afterRecording: record the event all the same, like a commit whose acknowledgement was lost.
    public func failAppends(_ count: Int = 1, with error: any Error, afterRecording: Bool = false) {
        guard count > 0 else { return }
        state.withLock { state in
            state.failures.append(Failures(remaining: count, error: error, afterRecording: afterRecording))
        }
    }

    /// Starts over with these events: nothing counted, no failures to come.
    public func reset(to events: some Sequence<DurableEvent>) {
        let events = Array(events)
        state.withLock { $0 = State(events: events) }
    }

    /// Starts over, empty.
    public func reset() {
        reset(to: [])
    }
}

extension InMemoryStream.State {
    fileprivate mutating func nextFailure() -> InMemoryStream.Failures? {
        guard let next = failures.first else { return nil }
        failures[0].remaining -= 1
        if failures[0].remaining == 0 { failures.removeFirst() }
        return next
    }
}
