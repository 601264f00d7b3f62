/// RFC 8259 once more, written for nothing but to be compared with: the grammar's rules one by one, on an array, by
/// recursion, building nothing. Shares no line with the scanner that it is to judge.
package struct ReferenceJSON {
    private let text: [UInt8]
    private var index = 0
    private let maximumDepth: Int

    /// Whether these bytes are a JSON text in UTF-8 of at most so many levels.
    package static func accepts(_ bytes: [UInt8], maximumDepth: Int = 1_000) -> Bool {
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        var reader = ReferenceJSON(text: bytes, maximumDepth: maximumDepth)
        return reader.value(depth: 0) && reader.index == bytes.count
    }

    private init(text: [UInt8], maximumDepth: Int) {
        self.text = text
        self.maximumDepth = maximumDepth
    }

    private var next: Character? {
        index < text.count ? Character(Unicode.Scalar(text[index])) : nil
    }

    private mutating func take(_ wanted: Character) -> Bool {
        guard next == wanted else { return false }
        index += 1
        return true
    }

    /// JSON-text = ws value ws
    private mutating func value(depth: Int) -> Bool {
        space()
        defer { space() }
        switch next {
        case "{": return object(depth: depth)
        case "[": return array(depth: depth)
        case "\"": return string()
        case "t": return "true".allSatisfy { take($0) }
        case "f": return "false".allSatisfy { take($0) }
        case "n": return "null".allSatisfy { take($0) }
        default: return number()
        }
    }

    private mutating func space() {
        while let byte = index < text.count ? text[index] : nil, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { index += 1 }
    }

    private mutating func object(depth: Int) -> Bool {
        guard depth < maximumDepth, take("{") else { return false }
        space()
        if take("}") { return true }
        repeat {
            space()
            guard string() else { return false }
            space()
            guard take(":"), value(depth: depth + 1) else { return false }
        } while take(",")
        return take("}")
    }

    private mutating func array(depth: Int) -> Bool {
        guard depth < maximumDepth, take("[") else { return false }
        space()
        if take("]") { return true }
        repeat {
            guard value(depth: depth + 1) else { return false }
        } while take(",")
        return take("]")
    }

    private mutating func string() -> Bool {
        guard take("\"") else { return false }
        while index < text.count {
            let byte = text[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return true
            case 0..<0x20: return false
            case UInt8(ascii: "\\"):
                guard let escape = next else { return false }
                index += 1
                if escape == "u" {
                    for _ in 0..<4 {
                        guard let digit = next, digit.isASCII, digit.isHexDigit else { return false }
                        index += 1
                    }
                } else if !"\"\\/bfnrt".contains(escape) {
                    return false
                }
            default: break
            }
        }
        return false
    }

    /// number = [ minus ] int [ frac ] [ exp ]
    private mutating func number() -> Bool {
        _ = take("-")
        if !take("0") { guard digits() else { return false } }
        if take(".") { guard digits() else { return false } }
        if take("e") || take("E") {
            _ = take("+") || take("-")
            return digits()
        }
        return true
    }

    private mutating func digits() -> Bool {
        let start = index
        while let digit = next, ("0"..."9").contains(digit) { index += 1 }
        return index > start
    }
}
