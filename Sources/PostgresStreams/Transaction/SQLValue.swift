/// A parameter or a column of the caller's own SQL, as the text PostgreSQL reads and writes for its type; nil for a null.
///
/// A literal is one as it stands, a variable is wrapped:
///
/// ```swift
/// try await tx.query("update accounts set balance = balance - 4200 where id = $1", "u-123")
/// try await tx.query("update accounts set balance = balance - $1 where id = $2", SQLValue(amount), SQLValue(id))
/// ```
///
/// The server infers a parameter's type from where it stands; write `$1::numeric` where it cannot. What has no initializer
/// here is passed as its text: `SQLValue(uuid.uuidString)`.
public struct SQLValue: Sendable, Hashable {
    /// The value's text; nil for a null.
    public var text: String?

    /// Nil is a null, here and below.
    public init(_ text: String?) { self.text = text }

    public init(_ text: some StringProtocol) { self.text = String(text) }

    /// Of any width. The server refuses what its column has no room for (22003).
    public init(_ value: (some BinaryInteger)?) { text = value.map { String($0) } }

    public init(_ value: Double?) { text = value.map { "\($0)" } }

    public init(_ value: Bool?) { text = value.map { $0 ? "t" : "f" } }

    /// A bytea.
    public init(_ bytes: [UInt8]?) {
        text = bytes.map { bytes in
            let digits = Array("0123456789abcdef".utf8)
            let hex = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
            return "\\x" + String(decoding: hex, as: UTF8.self)
        }
    }

    public static let null = SQLValue(nil as String?)

    public var isNull: Bool { text == nil }

    /// Nil for a null, and for what is no whole number of 64 bits.
    public var int: Int? { text.flatMap { Int($0) } }

    /// Nil for a null, and for what is no number. A `numeric` loses digits that a Double does not have: use `text`.
    public var double: Double? { text.flatMap { Double($0) } }

    /// Nil for a null, and for what is no boolean.
    public var bool: Bool? {
        switch text {
        case "t", "true": true
        case "f", "false": false
        default: nil
        }
    }

    /// A bytea's bytes; nil for a null, and for what is none in the server's `hex` output.
    public var bytes: [UInt8]? {
        guard let text, text.hasPrefix("\\x"), text.utf8.count % 2 == 0 else { return nil }
        let digits = Array(text.utf8.dropFirst(2))
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index...(index + 1)], as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(byte)
        }
        return bytes
    }
}

extension SQLValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self.init(value) }
    public init(integerLiteral value: Int) { self.init(value) }
    public init(floatLiteral value: Double) { self.init(value) }
    public init(booleanLiteral value: Bool) { self.init(value) }
    public init(nilLiteral: ()) { self = .null }
}
