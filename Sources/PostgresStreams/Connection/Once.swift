import Synchronization

/// A value that is set once, by whoever comes first, and handed to all receivers, those that come later included. Later
/// values are dropped.
final class Once<Value: Sendable>: Sendable {
    private enum State {
        case waiting([@Sendable (Value) -> Void])
        case set(Value)
    }

    private let state = Mutex(State.waiting([]))

    /// - Returns: whether it was the first, and not dropped.
    @discardableResult
    func set(_ value: Value) -> Bool {
        let receivers: [@Sendable (Value) -> Void]? = state.withLock { state in
            guard case .waiting(let receivers) = state else { return nil }
            state = .set(value)
            return receivers
        }
        for receiver in receivers ?? [] { receiver(value) }
        return receivers != nil
    }

    /// At once where there is a value, otherwise when it comes, on the thread that sets it.
    func onValue(_ receiver: @escaping @Sendable (Value) -> Void) {
        let value: Value? = state.withLock { state in
            switch state {
            case .set(let value): return value
            case .waiting(let receivers):
                state = .waiting(receivers + [receiver])
                return nil
            }
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
