/// A recorded effect with its result: what ``ReplayIndex`` answers an effect with that ran before.
public struct YieldEntry: Hashable, Sendable {
    public let description: EffectDescription
    public let result: EffectResult

    public init(description: EffectDescription, result: EffectResult) {
        self.description = description
        self.result = result
    }
}
