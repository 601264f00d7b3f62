/// Why an effect failed, in the words of the runtime that ran it.
public struct EffectFailure: Hashable, Sendable {
    public let message: JSONString

    /// The kind of error, such as `TypeError`, if the runtime named one.
    public let name: JSONString?

    public init(message: JSONString, name: JSONString? = nil) {
        self.message = message
        self.name = name
    }
}
