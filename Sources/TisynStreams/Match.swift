/// What to do with an effect about to run (contract §3).
public enum Match: Hashable, Sendable {
    /// It ran before: this is its result, do not run it again.
    case replay(EffectResult)
    /// It is new: run it, append its event, then go on.
    case live
}
