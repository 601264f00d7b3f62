/// The rule of replay, without any storage: used by ``ReplayIndex`` and by indexes that live elsewhere.
///
/// It decides; the index moves its cursor when the answer is ``Match/replay(_:)``.
public enum Matching {
    /// Compares an effect about to run with what the journal recorded (contract §3).
    ///
    /// - Parameters:
    ///   - current: the effect about to run.
    ///   - coroutineID: the coroutine that yields it.
    ///   - cursor: how many of the coroutine's recorded yields have been replayed.
    ///   - entry: the recorded yield at `cursor`; nothing past the end.
    ///   - isClosed: whether the journal has a close of the coroutine.
    /// - Throws: ``Divergence``; the journal is then not this program's, and nothing may run.
    public static func match(
        _ current: EffectDescription,
        in coroutineID: CoroutineID,
        at cursor: Int,
        entry: YieldEntry?,
        isClosed: Bool,
        rule: MatchingRule = .payload
    ) throws(Divergence) -> Match {
        func diverge(_ cause: Divergence.Cause) -> Divergence {
            Divergence(
                cause: cause,
                coroutineID: coroutineID,
                position: cursor,
                expected: entry?.description,
                actual: current
            )
        }
        guard let entry else {
            if isClosed { throw diverge(.continuesPastClose) }
            return .live
        }
        let stored = entry.description
        guard stored.type == current.type, stored.name == current.name else { throw diverge(.differentEffect) }
        if rule == .payload, !current.isPayloadExempt {
            guard let sha = stored.sha else { throw diverge(.missingSHA) }
            guard sha == current.sha else { throw diverge(.differentPayload) }
        }
        return .replay(entry.result)
    }
}
