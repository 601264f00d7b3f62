/// Making events in Swift: members in the order of contract §1, no white space but what the given values contain.
extension DurableEvent {
    /// The event that `coroutineID` yielded the described effect and got `result`.
    public static func yield(
        _ coroutineID: CoroutineID,
        _ description: EffectDescription,
        _ result: EffectResult
    ) -> DurableEvent {
        var text: [UInt8] = []
        text.reserveCapacity(256 + (description.input?.utf8Count ?? 0))
        text.append(#"{"type":"yield","coroutineId":"#)
        text.appendJSON(coroutineID)
        text.append(#","description":{"type":"#)
        text.appendJSON(description.type)
        text.append(#","name":"#)
        text.appendJSON(description.name)
        if let input = description.input {
            text.append(#","input":"#)
            text.appendJSON(input)
        }
        if let sha = description.sha {
            text.append(#","sha":"#)
            text.appendJSON(sha)
        }
        text.append("}")
        text.append(result: result)
        return DurableEvent(trusting: JSONText(trusting: text), kind: .yield, coroutineID: coroutineID)
    }

    /// The event that `coroutineID` closed with `result`.
    public static func close(_ coroutineID: CoroutineID, _ result: EffectResult) -> DurableEvent {
        var text: [UInt8] = []
        text.append(#"{"type":"close","coroutineId":"#)
        text.appendJSON(coroutineID)
        text.append(result: result)
        return DurableEvent(trusting: JSONText(trusting: text), kind: .close, coroutineID: coroutineID)
    }
}

extension [UInt8] {
    /// A string value in its canonical spelling.
    mutating func appendJSON(_ string: JSONString) {
        append(UInt8(ascii: "\""))
        append(contentsOf: string.encoded.utf8)
        append(UInt8(ascii: "\""))
    }

    /// A value as it was written.
    fileprivate mutating func appendJSON(_ text: JSONText) {
        text.withUTF8Bytes { append(contentsOf: $0) }
    }

    fileprivate mutating func append(_ literal: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// The last member of an event, and the event's end.
    fileprivate mutating func append(result: EffectResult) {
        append(#","result":{"status":"#)
        switch result {
        case .ok(let value):
            append(#""ok""#)
            if let value {
                append(#","value":"#)
                appendJSON(value)
            }
        case .error(let failure):
            append(#""error","error":{"message":"#)
            appendJSON(failure.message)
            if let name = failure.name {
                append(#","name":"#)
                appendJSON(name)
            }
            append("}")
        case .cancelled:
            append(#""cancelled""#)
        }
        append("}}")
    }
}
