/// The program and its journal disagree: replay cannot go on (contract §3).
///
/// Fatal by contract: whoever catches it stops the execution, runs nothing and appends nothing. Unlike other errors
/// its ``description`` shows ids, effect names and shas, since these are what one must compare.
public struct Divergence: Error, Hashable, Sendable {
    /// What they disagree about.
    public enum Cause: Hashable, Sendable {
        /// Type or name differ from what was recorded.
        case differentEffect
        /// The same effect, with other input.
        case differentPayload
        /// The recorded effect has no sha, which payload-sensitive replay requires.
        case missingSHA
        /// The coroutine yields although the journal shows it closed.
        case continuesPastClose
    }

    public let cause: Cause

    /// The coroutine that yielded ``actual``.
    public let coroutineID: CoroutineID

    /// The coroutine's cursor: how many of its recorded yields were replayed before.
    public let position: Int

    /// What the journal recorded at ``position``; nothing for ``Cause/continuesPastClose``.
    public let expected: EffectDescription?

    /// What the program yielded.
    public let actual: EffectDescription

    public init(
        cause: Cause,
        coroutineID: CoroutineID,
        position: Int,
        expected: EffectDescription?,
        actual: EffectDescription
    ) {
        self.cause = cause
        self.coroutineID = coroutineID
        self.position = position
        self.expected = expected
        self.actual = actual
    }
}

extension Divergence: CustomStringConvertible {
    /// The contract's message, word for word. A sha that is missing shows as `none`.
    public var description: String {
        let place = "Divergence at \(coroutineID)[\(position)]"
        let effect = "\(actual.type).\(actual.name)"
        switch cause {
        case .differentEffect:
            let stored = expected.map { "\($0.type).\($0.name)" } ?? "none"
            return "\(place): expected \(stored), got \(effect)"
        case .differentPayload:
            return """
                \(place): payload mismatch for \(effect):
                  stored sha: \(expected?.sha ?? "none")
                  current sha: \(actual.sha ?? "none")
                """
        case .missingSHA:
            return "\(place): stored entry for \(effect) missing required sha — nonconforming journal"
        case .continuesPastClose:
            return "Divergence: journal shows \(coroutineID) closed, but generator continues to yield effects"
        }
    }
}
