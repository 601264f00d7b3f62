/// Where the parts of a yield event lie, in the spelling in which nearly all events come: members in the order of contract
/// §1, no white space between them, none besides. Tisyn's runtime and ``DurableEvent`` write them so.
///
/// Used by ``DurableEvent/yieldEntry()``, for which it is several times as fast as ``EventOutline``: it compares where the
/// outline looks for names, and passes over values without checking them. So its text must be known to be JSON. What is
/// spelled otherwise in any way is the outline's business, and so is saying what is wrong.
struct YieldSkim {
    let type: JSONScanner.Token
    let name: JSONScanner.Token
    let input: Range<Int>?
    let sha: JSONScanner.Token?
    let result: Result

    enum Result {
        case ok(Range<Int>?)
        case error(message: JSONScanner.Token, name: JSONScanner.Token?)
        case cancelled
    }

    /// Nil: it is spelled otherwise, or no yield event.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var cursor = JSONSkimmer(bytes)
        guard cursor.take(#"{"type":"yield","coroutineId":""#), cursor.string() != nil,
            cursor.take(#","description":{"type":""#), let type = cursor.string(),
            cursor.take(#","name":""#), let name = cursor.string()
        else { return nil }
        self.type = type
        self.name = name
        if cursor.take(#","input":"#) {
            guard let input = cursor.value() else { return nil }
            self.input = input
        } else {
            input = nil
        }
        if cursor.take(#","sha":""#) {
            guard let sha = cursor.string() else { return nil }
            self.sha = sha
        } else {
            sha = nil
        }
        guard cursor.take(#"},"result":{"status":""#) else { return nil }
        if cursor.take(#"ok""#) {
            if cursor.take(#","value":"#) {
                guard let value = cursor.value() else { return nil }
                result = .ok(value)
            } else {
                result = .ok(nil)
            }
        } else if cursor.take(#"error","error":{"message":""#) {
            guard let message = cursor.string() else { return nil }
            if cursor.take(#","name":""#) {
                guard let name = cursor.string() else { return nil }
                result = .error(message: message, name: name)
            } else {
                result = .error(message: message, name: nil)
            }
            guard cursor.take("}") else { return nil }
        } else if cursor.take(#"cancelled""#) {
            result = .cancelled
        } else {
            return nil
        }
        guard cursor.take("}}"), cursor.isAtEnd else { return nil }
    }
}
