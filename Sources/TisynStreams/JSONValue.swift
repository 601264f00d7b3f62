/// A JSON text taken apart, for callers that walk through all of it.
///
/// Made by ``JSONText/value()`` when asked; events and journals never need it. Nothing is lost but white space and the
/// spelling of strings: numbers stay text, members keep their order and their duplicates.
public enum JSONValue: Sendable {
    case null
    case bool(Bool)
    /// The number as it was written, so that no digit is lost.
    case number(String)
    case string(JSONString)
    case array([JSONValue])
    case object([Member])

    /// A member of an object.
    public struct Member: Sendable {
        public let name: JSONString
        public let value: JSONValue

        public init(name: JSONString, value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// The value of an object's member; of duplicates the last, as in `JSON.parse`.
    public subscript(member name: JSONString) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    /// The same for a name that is a Swift string.
    public subscript(member name: String) -> JSONValue? {
        self[member: JSONString(name)]
    }
}

extension JSONValue: Equatable {
    /// Equality of what was written: `1` and `1.0` differ, and so do objects whose members are in another order.
    ///
    /// A loop, so that a deep tree needs no deep stack.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        var pending = [(left, right)]
        while let pair = pending.popLast() {
            switch pair {
            case (.null, .null): break
            case (.bool(let left), .bool(let right)):
                guard left == right else { return false }
            case (.number(let left), .number(let right)):
                guard left == right else { return false }
            case (.string(let left), .string(let right)):
                guard left == right else { return false }
            case (.array(let left), .array(let right)):
                guard left.count == right.count else { return false }
                pending.append(contentsOf: zip(left, right))
            case (.object(let left), .object(let right)):
                guard left.elementsEqual(right, by: { $0.name == $1.name }) else { return false }
                for (left, right) in zip(left, right) { pending.append((left.value, right.value)) }
            case (.null, _), (.bool, _), (.number, _), (.string, _), (.array, _), (.object, _):
                return false
            }
        }
        return true
    }
}

extension JSONText {
    /// The text as a tree. Throws for a text of more than 1,000 levels (only a trusted one can be so deep): a
    /// tree is freed by recursion.
    public func value() throws(JSONError) -> JSONValue {
        try withBytes { bytes throws(JSONError) in
            try JSONTree.value(bytes, limit: JSONScanner.maximumDepth)
        }
    }
}
