import TisynStreams

/// What must hold of any bytes whatever, given to the JSON scanner and the event decoder. The fuzzer and the tests call it.
package enum EventFuzz {
    /// A law that some bytes break.
    package struct Finding: Error, CustomStringConvertible {
        package let description: String
    }

    package enum Verdict: Hashable, Sendable { case notJSON, json, event }

    /// - Returns: what the bytes are.
    /// - Throws: `Finding`.
    @discardableResult
    package static func check(_ bytes: [UInt8]) throws(Finding) -> Verdict {
        let expected = ReferenceJSON.accepts(bytes)
        let json: JSONText
        do {
            json = try JSONText(utf8: bytes)
        } catch {
            try expect(!expected, "JSON is refused: \(error)")
            try expect((0...bytes.count).contains(error.offset), "the error lies outside the text: \(error)")
            do {
                _ = try DurableEvent(utf8: bytes)
                throw Finding(description: "an event whose text is no JSON")
            } catch let eventError as EventError {
                try expect(eventError.jsonError == error, "two errors: \(error), and \(eventError)")
            } catch {
                throw Finding(description: "\(error)")
            }
            return .notJSON
        }
        try expect(expected, "what is no JSON is accepted")
        try expect(json.utf8 == bytes, "the text was altered")
        let value = try check(json)
        let shape = isEvent(value)
        let event: DurableEvent
        do {
            event = try DurableEvent(utf8: bytes)
        } catch {
            try expect(!shape, "an event is refused: \(error)")
            try expect(error.jsonError == nil, "JSON is none to the event decoder: \(error)")
            try expect((0..<bytes.count).contains(error.offset), "the error lies outside the text: \(error)")
            return .json
        }
        try expect(shape, "what is no event is accepted")
        try check(event, value)
        return .event
    }

    private static func expect(_ holds: Bool, _ description: @autoclosure () -> String) throws(Finding) {
        guard holds else { throw Finding(description: description()) }
    }

    /// What is accepted can be read in every way there is, and each says the same.
    private static func check(_ json: JSONText) throws(Finding) -> JSONValue {
        guard let value = try? json.value() else { throw Finding(description: "JSON that cannot be read as a value") }
        switch value {
        case .null: try expect(json.kind == .null, "the kind is wrong")
        case .bool: try expect(json.kind == .bool, "the kind is wrong")
        case .number: try expect(json.kind == .number, "the kind is wrong")
        case .string(let string):
            try expect(json.kind == .string && json.stringValue == string, "the string is another")
            try expect(JSONString(utf16: string.utf16) == string, "a string changes by its code units")
            try expect(JSONText.string(string).stringValue == string, "a string changes by being written")
        case .array(let elements):
            let parts = json.elements ?? []
            try expect(parts.count == elements.count, "elements are missing")
            for (part, element) in zip(parts, elements) {
                try expect((try? part.value()) == element, "an element is another")
                try expect(ReferenceJSON.accepts(part.utf8), "an element is no JSON")
            }
        case .object(let members):
            for member in members {
                let part = json[member: member.name]
                try expect(part.flatMap { try? $0.value() } == value[member: member.name], "a member is another")
            }
        }
        if let canonical = try? json.canonical() {
            try expect(ReferenceJSON.accepts(Array(canonical.utf8)), "the canonical form is no JSON")
            try expect((try? JSONText(canonical).canonical()) == canonical, "the canonical form has another")
        }
        return value
    }

    /// The event's shape (contract §1), judged on the whole value.
    private static func isEvent(_ value: JSONValue) -> Bool {
        func isString(_ value: JSONValue?) -> Bool { if case .string = value { true } else { false } }
        func isObject(_ value: JSONValue?) -> Bool { if case .object = value { true } else { false } }
        guard isObject(value), isString(value[member: "coroutineId"]), let result = value[member: "result"],
            isObject(result)
        else { return false }
        switch value[member: "type"] {
        case .string("close"): break
        case .string("yield"):
            guard let description = value[member: "description"], isString(description[member: "type"]),
                isString(description[member: "name"]),
                description[member: "sha"] == nil || isString(description[member: "sha"])
            else { return false }
        default: return false
        }
        switch result[member: "status"] {
        case .string("ok"), .string("cancelled"): return true
        case .string("error"):
            guard let error = result[member: "error"], isString(error[member: "message"]) else { return false }
            return error[member: "name"] == nil || isString(error[member: "name"])
        default: return false
        }
    }

    /// An event has what its text says, and built anew from its parts it is the same.
    private static func check(_ event: DurableEvent, _ value: JSONValue) throws(Finding) {
        try expect(value[member: "coroutineId"] == .string(event.coroutineID), "the coroutine is another")
        let rebuilt: DurableEvent
        do {
            let result = try event.result()
            let entry = try event.yieldEntry()
            try expect((entry == nil) == (event.kind == .close), "a close with an entry, or a yield without")
            // White space in front makes it an event that is not spelled as usual, which is read another way.
            let unusual = try DurableEvent(utf8: [0x20] + event.json.utf8)
            try expect(try unusual.yieldEntry() == entry, "the entry depends on how it is read")
            rebuilt =
                entry.map { .yield(event.coroutineID, $0.description, $0.result) } ?? .close(event.coroutineID, result)
            let read = try DurableEvent(utf8: rebuilt.json.utf8)
            try expect(try read.result() == result, "the result changes by being written")
            try expect(try read.yieldEntry() == entry, "the entry changes by being written")
            try expect(read.coroutineID == event.coroutineID, "the coroutine changes by being written")
        } catch let finding as Finding {
            throw finding
        } catch {
            throw Finding(description: "an event that cannot be read: \(error)")
        }
    }
}
