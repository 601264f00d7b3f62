/// Says why a text is not an event: what is wrong, where, and what was expected (contract §1).
///
/// Thrown by ``DurableEvent``. It shows names of the contract and kinds of values, never the values themselves.
public struct EventError: Error, Hashable, Sendable {
    /// The member that is wrong, such as `result.error.message`; empty for the event as a whole.
    public let path: String

    /// Where in the text, in bytes from 0: the wrong value, or the object that lacks the member.
    public let offset: Int

    /// What is wrong, in words.
    public let reason: String

    /// Set if the text is not JSON at all.
    public let jsonError: JSONError?

    init(path: String, offset: Int, reason: String) {
        self.path = path
        self.offset = offset
        self.reason = reason
        jsonError = nil
    }

    init(_ error: JSONError) {
        path = ""
        offset = error.offset
        reason = error.reason
        jsonError = error
    }
}

extension EventError: CustomStringConvertible {
    public var description: String {
        if let jsonError { return "not an event: \(jsonError)" }
        return "not an event: \(path.isEmpty ? "the text" : path) at byte \(offset): \(reason)"
    }
}
