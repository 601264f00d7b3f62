/// Looking into a text without decoding it. Parts share the text's memory.
extension JSONText {
    /// What a JSON value is (RFC 8259 §3).
    public enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        case null, bool, number, string, array, object

        /// The kind of a value by its first byte, or nothing if no value begins so.
        init?(firstByte: UInt8) {
            switch firstByte {
            case UInt8(ascii: "n"): self = .null
            case UInt8(ascii: "t"), UInt8(ascii: "f"): self = .bool
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): self = .number
            case UInt8(ascii: "\""): self = .string
            case UInt8(ascii: "["): self = .array
            case UInt8(ascii: "{"): self = .object
            default: return nil
            }
        }
    }

    /// The text `null`.
    public static let null = JSONText(trusting: Array("null".utf8))

    /// The text of a string value: `value` in quotes, canonically escaped.
    public static func string(_ value: JSONString) -> JSONText {
        var bytes: [UInt8] = []
        bytes.appendJSON(value)
        return JSONText(trusting: bytes)
    }

    /// What the text is.
    public var kind: Kind {
        withUTF8Bytes { bytes in
            var scanner = JSONScanner(bytes, limit: .max)
            // A validated text begins with a value; of trusted bytes that do not, the answer is as good as any.
            return scanner.peek().flatMap(Kind.init(firstByte:)) ?? .null
        }
    }

    /// The value of a member of this object, without the white space around it; nothing if there is no such
    /// member or this is not an object. Of duplicates the last counts, as in `JSON.parse`.
    ///
    /// Reads the text from its beginning each time: to take many members, use ``value()``.
    public subscript(member name: JSONString) -> JSONText? {
        let range = try? withBytes { bytes throws(JSONError) in
            var scanner = JSONScanner(bytes, limit: .max)
            var found: Range<Int>?
            guard scanner.peek() == UInt8(ascii: "{") else { return found }
            var more = try scanner.open(closing: UInt8(ascii: "}"), level: 0)
            while more {
                let isWanted = scanner.string(try scanner.scanName(first: false)) == name
                let value = try scanner.scanRange(level: 1)
                if isWanted { found = value }
                more = try scanner.another(closing: UInt8(ascii: "}"))
            }
            return found
        }
        return range.flatMap { $0 }.map(slice)
    }

    /// The same for a name that is a Swift string.
    public subscript(member name: String) -> JSONText? {
        self[member: JSONString(name)]
    }

    /// The elements of this array, in order, without the white space around them; nothing if this is not an array.
    public var elements: [JSONText]? {
        let ranges = try? withBytes { bytes throws(JSONError) in
            var scanner = JSONScanner(bytes, limit: .max)
            var found: [Range<Int>]?
            guard scanner.peek() == UInt8(ascii: "[") else { return found }
            found = []
            var more = try scanner.open(closing: UInt8(ascii: "]"), level: 0)
            while more {
                found?.append(try scanner.scanRange(level: 1))
                more = try scanner.another(closing: UInt8(ascii: "]"))
            }
            return found
        }
        return ranges.flatMap { $0 }?.map(slice)
    }

    /// The value of this text if it is a string.
    public var stringValue: JSONString? {
        guard kind == .string else { return nil }
        return try? withBytes { bytes throws(JSONError) in
            var scanner = JSONScanner(bytes, limit: .max)
            _ = scanner.peek()
            return scanner.string(try scanner.scanString())
        }
    }
}

extension JSONScanner {
    /// One value of any kind, and where it lies without the white space around it.
    mutating func scanRange(level: Int) throws(JSONError) -> Range<Int> {
        guard peek() != nil else { throw unexpected(.value) }
        let start = offset
        try skipValue(level: level)
        return start..<offset
    }
}
