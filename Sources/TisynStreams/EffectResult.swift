/// What came of an effect, or what a coroutine closed with (contract §1).
public enum EffectResult: Hashable, Sendable {
    /// It succeeded, with a value or without one. A value of JSON `null` is a value.
    case ok(JSONText?)
    /// It failed.
    case error(EffectFailure)
    /// It was cancelled.
    case cancelled
}
