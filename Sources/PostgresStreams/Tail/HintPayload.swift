/// The payload of a notification: digests of streams' names, 16 hex digits each, with commas between. From anybody, so
/// that what is no digest is passed over. A journal's begins with `-` and a number, in as many digits, by which it knows them
/// again.
struct HintPayload: Sequence, Sendable {
    /// A payload has less than 8,000 bytes: 400 digests of 16 and a number, with commas between.
    static let capacity = 400

    let text: String

    init(_ text: String) { self.text = text }

    /// The payload of these, at most `capacity` of them.
    ///
    /// - Parameter number: by which its sender knows it again; nil where nobody is to.
    init(digests: some Collection<UInt64>, number: UInt64? = nil) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(17 * (digests.count + 1))
        if let number {
            bytes.append(UInt8(ascii: "-"))
            Self.append(number, to: &bytes)
        }
        for digest in digests {
            if !bytes.isEmpty { bytes.append(UInt8(ascii: ",")) }
            Self.append(digest, to: &bytes)
        }
        text = String(decoding: bytes, as: UTF8.self)
    }

    private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: number >> UInt64(shift)) & 0xF
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }

    /// The number that it begins with.
    var number: UInt64? {
        guard text.utf8.first == UInt8(ascii: "-") else { return nil }
        var iterator = Iterator(bytes: text.utf8.dropFirst().makeIterator())
        return iterator.field()
    }

    func makeIterator() -> Iterator { Iterator(bytes: text.utf8[...].makeIterator()) }

    struct Iterator: IteratorProtocol {
        var bytes: Substring.UTF8View.Iterator
        private var isAtEnd = false

        init(bytes: Substring.UTF8View.Iterator) { self.bytes = bytes }

        mutating func next() -> UInt64? {
            while !isAtEnd {
                if let digest = field() { return digest }
            }
            return nil
        }

        /// Reads up to the next comma; nil for what is not 16 lower-case hex digits.
        mutating func field() -> UInt64? {
            var digest: UInt64 = 0
            var count = 0
            var isHex = true
            while true {
                guard let byte = bytes.next() else {
                    isAtEnd = true
                    break
                }
                if byte == UInt8(ascii: ",") { break }
                count += 1
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): digest = digest << 4 | UInt64(byte - UInt8(ascii: "0"))
                case UInt8(ascii: "a")...UInt8(ascii: "f"): digest = digest << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
                default: isHex = false
                }
            }
            return isHex && count == 16 ? digest : nil
        }
    }
}
