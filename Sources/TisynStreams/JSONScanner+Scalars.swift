/// Strings, numbers and literals: the parts of ``JSONScanner`` where the bytes are spent.
extension JSONScanner {
    /// The string whose opening quote is at the cursor.
    @inline(__always)
    mutating func scanString() throws(JSONError) -> Token {
        let start = offset &+ 1
        var index = start
        var isPlain = true
        while true {
            index = endOfOrdinaryBytes(from: index)
            guard index < bytes.count else { throw unexpected(.closingQuote, at: index) }
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                advance(to: index &+ 1)
                return Token(start: start, end: index, isPlain: isPlain)
            } else if byte == UInt8(ascii: "\\") {
                isPlain = false
                index = try endOfEscape(at: index)
            } else if byte < 0x20 {
                throw JSONError(offset: index, problem: .rawControlCharacter(byte))
            } else {
                index = try endOfNonASCII(from: index)
            }
        }
    }

    /// The first byte from `index` on that ends a run of ordinary ASCII: a quote, a backslash, a control
    /// character, a byte of a longer UTF-8 sequence, or the end of the text.
    ///
    /// Eight bytes at a time. Each test leaves the top bit of a byte set where it holds; a borrow can set it
    /// wrongly only in bytes after the first true hit, and only the first hit is used.
    @inline(__always)
    private func endOfOrdinaryBytes(from index: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        var index = index
        while index &+ 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let quote = word ^ (ones &* 0x22)
            let backslash = word ^ (ones &* 0x5C)
            let below = (word &- ones &* 0x20) & ~word
            let hits = (below | ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | word) & tops
            if hits != 0 { return index &+ hits.trailingZeroBitCount / 8 }
            index &+= 8
        }
        while index < bytes.count {
            let byte = bytes[index]
            if byte < 0x20 || byte >= 0x80 || byte == 0x22 || byte == 0x5C { return index }
            index &+= 1
        }
        return index
    }

    private func endOfEscape(at backslash: Int) throws(JSONError) -> Int {
        let index = backslash &+ 1
        guard index < bytes.count else { throw unexpected(.escape, at: index) }
        switch bytes[index] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return index &+ 1
        case UInt8(ascii: "u"):
            for digit in (index &+ 1)...(index &+ 4) {
                guard digit < bytes.count, bytes[digit].hexDigitValue != nil else {
                    throw unexpected(.hexDigit, at: digit)
                }
            }
            return index &+ 5
        case let byte:
            throw JSONError(offset: index, problem: .invalidEscape(byte))
        }
    }

    /// The end of a run of multi-byte UTF-8 sequences: shortest forms only, no surrogates, nothing above U+10FFFF
    /// (RFC 3629 §4).
    private func endOfNonASCII(from index: Int) throws(JSONError) -> Int {
        var index = index
        while index < bytes.count {
            let lead = bytes[index]
            if lead < 0x80 { return index }
            let length: Int
            var second: ClosedRange<UInt8> = 0x80...0xBF
            switch lead {
            case 0xC2...0xDF: length = 2
            case 0xE0: (length, second) = (3, 0xA0...0xBF)
            case 0xED: (length, second) = (3, 0x80...0x9F)
            case 0xE1...0xEF: length = 3
            case 0xF0: (length, second) = (4, 0x90...0xBF)
            case 0xF4: (length, second) = (4, 0x80...0x8F)
            case 0xF1...0xF3: length = 4
            default: throw JSONError(offset: index, problem: .invalidUTF8(lead))
            }
            guard index &+ length <= bytes.count, second.contains(bytes[index &+ 1]) else {
                throw JSONError(offset: index, problem: .invalidUTF8(lead))
            }
            var last = 2
            while last < length {
                guard bytes[index &+ last] & 0xC0 == 0x80 else {
                    throw JSONError(offset: index, problem: .invalidUTF8(lead))
                }
                last &+= 1
            }
            index &+= length
        }
        return index
    }

    /// The number at the cursor, of any size and precision (RFC 8259 §6).
    @inline(__always)
    mutating func scanNumber() throws(JSONError) {
        var index = offset
        if bytes[index] == UInt8(ascii: "-") { index &+= 1 }
        if index < bytes.count, bytes[index] == UInt8(ascii: "0") {
            index &+= 1
            if index < bytes.count, isDigit(bytes[index]) { throw JSONError(offset: index, problem: .leadingZero) }
        } else {
            index = try endOfDigits(from: index)
        }
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            index = try endOfDigits(from: index &+ 1)
        }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
            index &+= 1
            if index < bytes.count, bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-") {
                index &+= 1
            }
            index = try endOfDigits(from: index)
        }
        advance(to: index)
    }

    @inline(__always)
    private func isDigit(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "0") < 10
    }

    /// Past one digit or more.
    @inline(__always)
    private func endOfDigits(from start: Int) throws(JSONError) -> Int {
        var index = start
        while index < bytes.count, isDigit(bytes[index]) { index &+= 1 }
        guard index > start else { throw unexpected(.digit, at: start) }
        return index
    }

    @inline(__always)
    mutating func scanLiteral(_ literal: StaticString) throws(JSONError) {
        var index = 0
        while index < literal.utf8CodeUnitCount {
            guard offset &+ index < bytes.count, bytes[offset &+ index] == literal.utf8Start[index] else {
                throw unexpected(.literal, at: offset &+ index)
            }
            index &+= 1
        }
        advance(to: offset &+ index)
    }

    /// Whether a string of this text spells `name`, with escapes or without.
    @inline(__always)
    func token(_ token: Token, spells name: StaticString) -> Bool {
        guard token.isPlain else { return string(token).encodedEquals(name) }
        guard token.end &- token.start == name.utf8CodeUnitCount else { return false }
        var index = 0
        while index < name.utf8CodeUnitCount {
            if bytes[token.start &+ index] != name.utf8Start[index] { return false }
            index &+= 1
        }
        return true
    }

    /// The value of a string of this text.
    func string(_ token: Token) -> JSONString {
        JSONString(content: content(token), isPlain: token.isPlain)
    }

    func content(_ token: Token) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[token.start..<token.end])
    }

    /// What was passed since the cursor was at `start`.
    func bytes(from start: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
    }
}

extension UInt8 {
    /// The value of an ASCII hexadecimal digit.
    var hexDigitValue: UInt16? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(self - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(self - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(self - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}
