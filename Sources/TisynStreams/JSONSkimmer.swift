/// Passes over text that is known to be JSON, looking only for where its values end.
///
/// Used by ``YieldSkim``. Of bytes that are no JSON it says nothing useful, but never reads outside them. It borrows
/// `bytes` as ``JSONScanner`` does.
struct JSONSkimmer {
    private let bytes: UnsafeRawBufferPointer
    private var offset = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    /// Passes over `text` if it stands here.
    @inline(__always)
    mutating func take(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard count <= bytes.count &- offset else { return false }
        let here = UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset &+ count)])
        guard here.hasSameBytes(as: UnsafeRawBufferPointer(start: text.utf8Start, count: count)) else { return false }
        offset &+= count
        return true
    }

    /// The string whose first byte after its quote stands here, past its end quote.
    @inline(__always)
    mutating func string() -> JSONScanner.Token? {
        let start = offset
        var isPlain = true
        var index = start
        while true {
            index = endOfPlainBytes(from: index)
            guard index < bytes.count else { return nil }
            if bytes[index] == UInt8(ascii: "\"") { break }
            isPlain = false
            index &+= 2
        }
        offset = index &+ 1
        return JSONScanner.Token(start: start, end: index, isPlain: isPlain)
    }

    /// A value of any kind without white space in front of it.
    mutating func value() -> Range<Int>? {
        let start = offset
        guard offset < bytes.count else { return nil }
        switch bytes[offset] {
        case UInt8(ascii: "\""):
            offset &+= 1
            guard string() != nil else { return nil }
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard passContainer() else { return nil }
        case let byte where JSONText.Kind(firstByte: byte) != nil:
            passScalar()
        default:
            return nil
        }
        return start..<offset
    }

    /// To the end of the container that begins here.
    private mutating func passContainer() -> Bool {
        var depth = 0
        while offset < bytes.count {
            let byte = bytes[offset]
            offset &+= 1
            switch byte {
            case UInt8(ascii: "\""):
                guard string() != nil else { return false }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth &+= 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth &-= 1
                if depth == 0 { return true }
            default:
                break
            }
        }
        return false
    }

    /// To the end of the number or literal that begins here.
    private mutating func passScalar() {
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte <= 0x20 || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
                return
            }
            offset &+= 1
        }
    }

    /// The first quote or backslash from `index` on, or the end. Eight bytes at a time, as the scanner does.
    @inline(__always)
    private func endOfPlainBytes(from index: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        var index = index
        while index &+ 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            let quote = word ^ (ones &* 0x22)
            let backslash = word ^ (ones &* 0x5C)
            let hits = (((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)) & tops
            if hits != 0 { return index &+ hits.trailingZeroBitCount / 8 }
            index &+= 8
        }
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\"") || bytes[index] == UInt8(ascii: "\\") { break }
            index &+= 1
        }
        return min(index, bytes.count)
    }
}
