/// What came of an effect, or what a coroutine closed with (contract §1).
///
/// Its texts share the memory of all that was read with them: a workflow that keeps a value for long keeps
/// ``JSONText/detached()``.
public enum EffectResult: Hashable, Sendable {
    /// It succeeded, with a value or without one. A value of JSON `null` is a value.
    case ok(JSONText?)
    /// It failed.
    case error(EffectFailure)
    /// It was cancelled.
    case cancelled
}
