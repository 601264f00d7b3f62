/// What an effect is: its type, its name and what it was given (contract §1).
///
/// Stored with a yield and compared on replay; see ``Matching``. It describes, it never runs anything.
public struct EffectDescription: Hashable, Sendable {
    /// The effect id up to its first dot: usually who performs the effect.
    public let type: JSONString

    /// The effect id after its first dot.
    public let name: JSONString

    /// What the effect was given. Missing in journals of Tisyn 0.7.0 and where ``isPayloadExempt``.
    public let input: JSONText?

    /// The payload sha of ``input`` (contract §4). Missing where `input` is.
    public let sha: JSONString?

    /// Takes the parts as they are; `sha` is not checked against `input`.
    public init(type: JSONString, name: JSONString, input: JSONText? = nil, sha: JSONString? = nil) {
        self.type = type
        self.name = name
        self.input = input
        self.sha = sha
    }

    /// Describes an effect that is about to run.
    ///
    /// The id is split at its first dot: `a.b.c` is type `a`, name `b.c`; without a dot it is both. No input
    /// counts as `null`, since every effect but the exempt ones must have one; those get neither input nor sha.
    ///
    /// Throws if `input` holds a number that has no canonical form (see ``JSONText/canonical()``).
    public init(effectID: String, input: JSONText?) throws(JSONError) {
        let bytes = effectID.utf8
        let dot = bytes.firstIndex(of: UInt8(ascii: "."))
        let type = JSONString(dot.map { String(effectID[..<$0]) } ?? effectID)
        let name = JSONString(dot.map { String(effectID[bytes.index(after: $0)...]) } ?? effectID)
        guard !Self.isPayloadExempt(type: type, name: name) else {
            self.init(type: type, name: name)
            return
        }
        let input = input ?? .null
        self.init(type: type, name: name, input: input, sha: JSONString(try input.payloadSHA()))
    }

    /// Whether this is `stream.subscribe` or `__config`, which are matched by type and name only (contract §3).
    public var isPayloadExempt: Bool {
        Self.isPayloadExempt(type: type, name: name)
    }

    private static func isPayloadExempt(type: JSONString, name: JSONString) -> Bool {
        type == "stream" && name == "subscribe" || type == "__config" && name == "__config"
    }
}
