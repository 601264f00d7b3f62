/// A JSON number in its canonical form: the shortest that reads back as the same IEEE 754 double, in ECMAScript's
/// notation (ECMA-262 Number::toString; contract §4). Used by ``CanonicalJSON``.
struct CanonicalNumber {
    let text: String

    /// The form of a number in JSON's grammar; nothing if it lies beyond the range of a double.
    init?(_ number: String) {
        guard let value = Double(number), value.isFinite else { return nil }
        text = Self.format(value)
    }

    /// Whether a number is its own canonical form for a reason that is cheap to see: an integer below 10¹⁵,
    /// which a double holds exactly.
    static func isCanonicalInteger(_ text: Slice<UnsafeRawBufferPointer>) -> Bool {
        var digits = text
        if digits.first == UInt8(ascii: "-") { digits = digits.dropFirst() }
        guard digits.count <= 15, digits.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
            return false
        }
        return digits.first != UInt8(ascii: "0") || text.count == 1
    }

    private static func format(_ value: Double) -> String {
        if value == 0 { return "0" }
        let sign = value < 0 ? "-" : ""
        let (digits, point) = shortest(value.magnitude)
        let count = digits.utf8.count
        if point > 0, point <= 21 {
            guard count > point else { return sign + digits + String(repeating: "0", count: point - count) }
            return sign + digits.prefix(point) + "." + digits.dropFirst(point)
        }
        if point > -6, point <= 0 {
            return sign + "0." + String(repeating: "0", count: -point) + digits
        }
        let fraction = count > 1 ? "." + digits.dropFirst() : ""
        let exponent = point - 1
        return sign + digits.prefix(1) + fraction + "e" + (exponent < 0 ? "-" : "+") + String(exponent.magnitude)
    }

    /// The fewest digits that identify a positive value, without zeros at either end, and where the decimal
    /// point stands: 0.00125 is ("125", -2). Swift prints the same digits as ECMAScript, in another notation.
    private static func shortest(_ value: Double) -> (digits: Substring, point: Int) {
        let parts = value.description.split(separator: "e", maxSplits: 1)
        let mantissa = parts[0].split(separator: ".", maxSplits: 1)
        let whole = mantissa[0]
        let fraction = mantissa.count > 1 ? mantissa[1] : ""
        let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let all = Substring(whole + fraction)
        let digits = all.drop { $0 == "0" }
        let leadingZeros = all.utf8.count - digits.utf8.count
        let end = digits.lastIndex { $0 != "0" }.map(digits.index(after:)) ?? digits.endIndex
        return (digits[..<end], whole.utf8.count + exponent - leadingZeros)
    }
}
