/// Says where a text stops being JSON, and why.
///
/// Thrown by ``JSONText`` and, wrapped in an ``EventError``, by ``DurableEvent``. It names at most one byte of
/// the text it complains about, so that it can be logged without logging the payload.
public struct JSONError: Error, Hashable, Sendable {
    /// The byte the reader could not get past, counted from 0. At an unexpected end this is the text's length.
    public let offset: Int

    /// A value without payload: an error costs no allocation until someone asks for its words.
    let problem: Problem

    /// What is wrong at ``offset``, in words.
    public var reason: String { problem.text }

    enum Problem: Hashable, Sendable {
        case unexpected(UInt8, expected: Expectation)
        case unexpectedEnd(expected: Expectation)
        case byteOrderMark
        case leadingZero
        case rawControlCharacter(UInt8)
        case invalidEscape(UInt8)
        case invalidUTF8(UInt8)
        case tooDeep(limit: Int)
        case numberOutOfRange
    }

    enum Expectation: String, Hashable, Sendable {
        case value = "a value"
        case literal = "true, false or null"
        case digit = "a digit"
        case hexDigit = "a hexadecimal digit"
        case escape = "the rest of an escape"
        case closingQuote = "the end of a string"
        case memberName = "a member name in quotes"
        case memberNameOrEnd = "a member name in quotes or '}'"
        case colon = "':'"
        case commaOrBrace = "',' or '}'"
        case commaOrBracket = "',' or ']'"
        case end = "the end of the text"
    }
}

extension JSONError: CustomStringConvertible {
    public var description: String {
        switch problem {
        case .numberOutOfRange: "no canonical JSON for the number at byte \(offset): \(reason)"
        default: "invalid JSON at byte \(offset): \(reason)"
        }
    }
}

extension JSONError.Problem {
    fileprivate var text: String {
        switch self {
        case .unexpected(let byte, let expected): "unexpected \(Self.name(of: byte)), expected \(expected.rawValue)"
        case .unexpectedEnd(let expected): "the text ends, expected \(expected.rawValue)"
        case .byteOrderMark: "a byte order mark, which JSON text must not begin with"
        case .leadingZero: "a number with a leading zero"
        case .rawControlCharacter(let byte): "\(Self.name(of: byte)) in a string, where it must be escaped"
        case .invalidEscape(let byte): "\(Self.name(of: byte)) after a backslash, which is no escape"
        case .invalidUTF8(let byte): "\(Self.name(of: byte)) begins no valid UTF-8 sequence"
        case .tooDeep(let limit): "nested deeper than \(limit) levels"
        case .numberOutOfRange: "beyond the range of an IEEE 754 double"
        }
    }

    private static func name(of byte: UInt8) -> String {
        if byte > 0x20, byte < 0x7F { return "'\(Unicode.Scalar(byte))'" }
        let hex = String(byte, radix: 16, uppercase: true)
        return "byte 0x" + (hex.count < 2 ? "0" : "") + hex
    }
}
