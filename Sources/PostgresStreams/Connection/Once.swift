import Synchronization

/// A value that is set once, by whoever comes first, and handed to one receiver. Later values are dropped.
final class Once<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var receiver: (@Sendable (Value) -> Void)?
        var isDone = false
    }

    private let state = Mutex(State())

    /// - Returns: whether it was the first, and not dropped.
    @discardableResult
    func set(_ value: Value) -> Bool {
        let (isFirst, receiver): (Bool, (@Sendable (Value) -> Void)?) = state.withLock { state in
            guard !state.isDone, state.value == nil else { return (false, nil) }
            guard let receiver = state.receiver else {
                state.value = value
                return (true, nil)
            }
            state.isDone = true
            state.receiver = nil
            return (true, receiver)
        }
        receiver?(value)
        return isFirst
    }

    /// At once where there is a value, otherwise when it comes, on the thread that sets it.
    func onValue(_ receiver: @escaping @Sendable (Value) -> Void) {
        let value: Value? = state.withLock { state in
            guard !state.isDone else { return nil }
            guard let value = state.value else {
                state.receiver = receiver
                return nil
            }
            state.isDone = true
            return value
        }
        if let value { receiver(value) }
    }

    /// Waits for it; the task's cancellation has no effect.
    var value: Value {
        get async {
            await withCheckedContinuation { continuation in onValue { continuation.resume(returning: $0) } }
        }
    }
}
