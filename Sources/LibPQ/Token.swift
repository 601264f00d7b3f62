/// A uuid: 128 bits in the order they are written.
package struct Token: Hashable, Sendable, CustomStringConvertible {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// 122 random bits, marked as a version 4 uuid (RFC 9562 §5.4).
    package static func random(using generator: inout some RandomNumberGenerator) -> Token {
        Token(
            high: (generator.next() & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000,
            low: (generator.next() & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
        )
    }

    /// The n-th of a family: as random as this one, and unlike all others of the family.
    package func numbered(_ number: Int) -> Token { Token(high: high, low: low ^ UInt64(number & 0xFFFF)) }

    /// The token that `description` wrote; nil for any other text.
    package init?(_ text: String) {
        let digits = text.filter { $0 != "-" }
        guard digits.utf8.count == 32, let high = UInt64(digits.prefix(16), radix: 16),
            let low = UInt64(digits.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
        guard description == text else { return nil }
    }

    package var description: String {
        func hex(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: digits - text.count) + text
        }
        return [
            hex(high >> 32, 8), hex((high >> 16) & 0xFFFF, 4), hex(high & 0xFFFF, 4), hex(low >> 48, 4),
            hex(low & 0xFFFF_FFFF_FFFF, 12),
        ].joined(separator: "-")
    }
}
