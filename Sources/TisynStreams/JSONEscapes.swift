/// The two spellings of a string's characters in JSON: reading every legal escape, writing the canonical ones.
///
/// Used by ``JSONString``. It handles contents, the part between the quotes, and takes them to be valid.
enum JSONEscapes {
    /// Whether the canonical content of a string differs from the string itself.
    static func isNeeded(for string: String) -> Bool {
        string.utf8.contains { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }
    }

    /// The code units that a content spells.
    static func decode(_ content: UnsafeRawBufferPointer) -> [UInt16] {
        var units: [UInt16] = []
        units.reserveCapacity(content.count)
        var index = 0
        while index < content.count {
            if content[index] == UInt8(ascii: "\\") {
                index += 1
                guard index < content.count else { break }
                if content[index] == UInt8(ascii: "u") {
                    units.append(codeUnit(of: content, at: index + 1))
                    index += 5
                } else {
                    units.append(shortEscape(content[index]))
                    index += 1
                }
            } else {
                let start = index
                while index < content.count, content[index] != UInt8(ascii: "\\") { index += 1 }
                units.append(contentsOf: String(decoding: content[start..<index], as: UTF8.self).utf16)
            }
        }
        return units
    }

    /// The canonical content for these code units (contract §4): the short escapes, `\u00xx` for other control
    /// characters, `\udxxx` for surrogates without a partner, everything else as it is.
    static func encode(_ units: some Sequence<UInt16>) -> String {
        var encoded = String.UnicodeScalarView()
        var lead: UInt16?
        for unit in units {
            if let high = lead {
                lead = nil
                if UTF16.isTrailSurrogate(unit), let scalar = scalar(lead: high, trail: unit) {
                    encoded.append(scalar)
                    continue
                }
                appendHex(high, to: &encoded)
            }
            if UTF16.isLeadSurrogate(unit) {
                lead = unit
            } else {
                append(unit, to: &encoded)
            }
        }
        if let lead { appendHex(lead, to: &encoded) }
        return String(encoded)
    }

    private static func append(_ unit: UInt16, to encoded: inout String.UnicodeScalarView) {
        switch unit {
        case 0x08: encoded.append(contentsOf: #"\b"#.unicodeScalars)
        case 0x09: encoded.append(contentsOf: #"\t"#.unicodeScalars)
        case 0x0A: encoded.append(contentsOf: #"\n"#.unicodeScalars)
        case 0x0C: encoded.append(contentsOf: #"\f"#.unicodeScalars)
        case 0x0D: encoded.append(contentsOf: #"\r"#.unicodeScalars)
        case 0x22: encoded.append(contentsOf: #"\""#.unicodeScalars)
        case 0x5C: encoded.append(contentsOf: #"\\"#.unicodeScalars)
        case 0x00..<0x20: appendHex(unit, to: &encoded)
        default:
            // No scalar: a trail surrogate without its lead.
            if let scalar = Unicode.Scalar(unit) {
                encoded.append(scalar)
            } else {
                appendHex(unit, to: &encoded)
            }
        }
    }

    private static func appendHex(_ unit: UInt16, to encoded: inout String.UnicodeScalarView) {
        let digits = String(unit, radix: 16)
        encoded.append(contentsOf: #"\u"#.unicodeScalars)
        encoded.append(contentsOf: String(repeating: "0", count: 4 - digits.utf8.count).unicodeScalars)
        encoded.append(contentsOf: digits.unicodeScalars)
    }

    private static func scalar(lead: UInt16, trail: UInt16) -> Unicode.Scalar? {
        Unicode.Scalar(0x1_0000 + (UInt32(lead & 0x3FF) << 10 | UInt32(trail & 0x3FF)))
    }

    private static func codeUnit(of content: UnsafeRawBufferPointer, at start: Int) -> UInt16 {
        var unit: UInt16 = 0
        for index in start..<start + 4 where index < content.count {
            unit = unit << 4 | (content[index].hexDigitValue ?? 0)
        }
        return unit
    }

    private static func shortEscape(_ byte: UInt8) -> UInt16 {
        switch byte {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: UInt16(byte)
        }
    }
}
