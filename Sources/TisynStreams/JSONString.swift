/// The exact value of a JSON string: any sequence of UTF-16 code units, NUL and lone surrogates included.
///
/// Swift's `String` cannot hold a lone surrogate and calls differently spelled texts equal; ids and messages
/// in a journal need neither rewriting nor guessing. Used for coroutine ids, effect names, error messages and member
/// names. Equality is of code units: `"é"` in one code point and in two are different ids.
public struct JSONString {
    /// The content of the canonical JSON string, without its quotes (contract §4): for ordinary text the text
    /// itself. Different values have different `encoded`, and it never contains NUL, so that a database's
    /// text column can hold it.
    public let encoded: String

    /// Every Swift string is a JSON string.
    public init(_ string: String) {
        encoded = JSONEscapes.isNeeded(for: string) ? JSONEscapes.encode(string.utf16) : string
    }

    /// The string of these code units, which need not be well-formed UTF-16.
    public init(utf16 units: some Sequence<UInt16>) {
        encoded = JSONEscapes.encode(units)
    }

    /// Takes what ``encoded`` gave, from a place that is trusted to have kept it.
    package init(encoded: String) {
        self.encoded = encoded
    }

    /// The bytes between the quotes of a string the scanner has checked.
    init(content: UnsafeRawBufferPointer, isPlain: Bool) {
        if isPlain {
            encoded = String(checkedUTF8: content)
        } else {
            encoded = JSONEscapes.encode(JSONEscapes.decode(content))
        }
    }

    /// The value as a Swift string. Lossy: each lone surrogate becomes U+FFFD.
    public var string: String {
        if isOrdinary { return encoded }
        return String(decoding: utf16, as: UTF16.self)
    }

    /// The value's code units, exactly.
    public var utf16: [UInt16] {
        if isOrdinary { return Array(encoded.utf16) }
        var encoded = encoded
        return encoded.withUTF8 { JSONEscapes.decode(UnsafeRawBufferPointer($0)) }
    }

    private var isOrdinary: Bool {
        !encoded.utf8.contains(UInt8(ascii: "\\"))
    }

    func encodedEquals(_ name: StaticString) -> Bool {
        encoded.utf8.elementsEqual(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }
}

extension JSONString: Hashable, Sendable {
    public static func == (left: JSONString, right: JSONString) -> Bool {
        // Bytes, since `String.==` also accepts canonically equivalent spellings.
        var left = left.encoded
        var right = right.encoded
        return left.withUTF8 { left in
            right.withUTF8 { UnsafeRawBufferPointer(left).hasSameBytes(as: UnsafeRawBufferPointer($0)) }
        }
    }

    public func hash(into hasher: inout Hasher) {
        var encoded = encoded
        encoded.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(UInt8.max)
    }
}

extension JSONString: ExpressibleByStringInterpolation, CustomStringConvertible {
    public init(stringLiteral value: String) {
        self.init(value)
    }

    /// The same as ``string``.
    public var description: String { string }
}

extension String {
    /// Bytes that the scanner has checked.
    init(checkedUTF8 bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= 15 else {
            self.init(decoding: bytes, as: UTF8.self)
            return
        }
        // So short a string has no memory of its own: it is filled in place, in fewer steps than decoding takes.
        self.init(unsafeUninitializedCapacity: bytes.count) { content in
            UnsafeMutableRawBufferPointer(content).copyMemory(from: bytes)
            return bytes.count
        }
    }
}
