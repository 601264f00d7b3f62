/// The parameters of one statement in PostgreSQL's binary format, laid one after the other in a single buffer.
///
/// Values are added in order. The format of each is that of the `send`/`recv` functions of its type: integers big-endian,
/// text as it is, arrays as dimension header and length-prefixed elements.
package struct Parameters: Sendable {
    /// The first byte is none of theirs: with it even an empty value has an address, where libpq takes none for a null.
    private var bytes: [UInt8] = [0]
    /// Where each parameter lies in `bytes`; nil for a null.
    private var ranges: [Range<Int>?] = []

    package init() {}

    package init(reservingCapacity capacity: Int) { bytes.reserveCapacity(capacity) }

    /// The size of what will be sent.
    package var byteCount: Int { bytes.count - 1 }

    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        bytes.append(0)
        ranges.removeAll(keepingCapacity: true)
    }

    // MARK: Single values

    package mutating func append(_ value: String?) {
        guard let value else { return ranges.append(nil) }
        add { bytes in bytes.append(contentsOf: value.utf8) }
    }

    package mutating func append(_ value: Int?) {
        guard let value else { return ranges.append(nil) }
        add { bytes in bytes.appendBigEndian(Int64(value)) }
    }

    /// A `"char"`: one byte.
    package mutating func append(char value: UInt8) { add { $0.append(value) } }

    /// Text, json or anything else that is sent as it is.
    package mutating func append(bytes value: UnsafeRawBufferPointer) { add { $0.append(contentsOf: value) } }

    package mutating func append(_ value: Bool) { add { $0.append(value ? 1 : 0) } }

    package mutating func append(_ value: Token) {
        add { bytes in
            bytes.appendBigEndian(value.high)
            bytes.appendBigEndian(value.low)
        }
    }

    // MARK: Arrays

    package mutating func append(array values: some Collection<String>) {
        addArray(.text, count: values.count, hasNull: false) { bytes in
            for var value in values {
                bytes.appendBigEndian(Int32(value.utf8.count))
                value.withUTF8 { bytes.append(contentsOf: $0) }
            }
        }
    }

    package mutating func append(array values: some Collection<Int>) {
        addArray(.int8, count: values.count, hasNull: false) { bytes in
            for value in values {
                bytes.appendBigEndian(Int32(8))
                bytes.appendBigEndian(Int64(value))
            }
        }
    }

    package mutating func append(array values: some Collection<Int?>) {
        addArray(.int8, count: values.count, hasNull: values.contains(nil)) { bytes in
            for value in values {
                guard let value else {
                    bytes.appendBigEndian(Int32(-1))
                    continue
                }
                bytes.appendBigEndian(Int32(8))
                bytes.appendBigEndian(Int64(value))
            }
        }
    }

    package mutating func append(array values: some Collection<Int32>) {
        addArray(.int4, count: values.count, hasNull: false) { bytes in
            for value in values {
                bytes.appendBigEndian(Int32(4))
                bytes.appendBigEndian(value)
            }
        }
    }

    package mutating func append(array values: some Collection<Bool>) {
        addArray(.bool, count: values.count, hasNull: false) { bytes in
            for value in values {
                bytes.appendBigEndian(Int32(1))
                bytes.append(value ? 1 : 0)
            }
        }
    }

    /// A `"char"[]`.
    package mutating func append(array values: some Collection<UInt8>) {
        addArray(.char, count: values.count, hasNull: false) { bytes in
            for value in values {
                bytes.appendBigEndian(Int32(1))
                bytes.append(value)
            }
        }
    }

    package mutating func append(array values: some Collection<Token>) {
        addArray(.uuid, count: values.count, hasNull: false) { bytes in
            for value in values {
                bytes.appendBigEndian(Int32(16))
                bytes.appendBigEndian(value.high)
                bytes.appendBigEndian(value.low)
            }
        }
    }

    /// A `json[]` of `count` texts. `body` hands each to the closure it is given, in order, exactly `count` times.
    package mutating func appendJSONArray(count: Int, _ body: (_ element: (UnsafeRawBufferPointer) -> Void) -> Void) {
        let start = bytes.count
        bytes.appendArrayHeader(.json, count: count, hasNull: false)
        // A local copy of the buffer would be copied on write; lending it to the closure keeps it unique.
        withUnsafeMutablePointer(to: &bytes) { buffer in
            body { element in
                buffer.pointee.appendBigEndian(Int32(element.count))
                buffer.pointee.append(contentsOf: element)
            }
        }
        ranges.append(start..<bytes.count)
    }

    // MARK: For libpq

    /// The arrays that libpq's calls take, valid inside `body` only.
    func withLibPQArrays<R>(
        _ body: (
            _ count: Int32, _ values: UnsafePointer<UnsafePointer<CChar>?>?, _ lengths: UnsafePointer<Int32>?,
            _ formats: UnsafePointer<Int32>?
        ) -> R
    ) -> R {
        let lengths = ranges.map { Int32($0?.count ?? 0) }
        let formats = [Int32](repeating: 1, count: ranges.count)
        return bytes.withUnsafeBytes { buffer in
            let base = buffer.bindMemory(to: CChar.self).baseAddress
            let values = ranges.map { range in range.flatMap { base?.advanced(by: $0.lowerBound) } }
            return body(Int32(ranges.count), values, lengths, formats)
        }
    }

    private mutating func add(_ body: (inout [UInt8]) -> Void) {
        let start = bytes.count
        body(&bytes)
        ranges.append(start..<bytes.count)
    }

    private mutating func addArray(
        _ type: ParameterType,
        count: Int,
        hasNull: Bool,
        _ body: (inout [UInt8]) -> Void
    ) {
        add { bytes in
            bytes.appendArrayHeader(type, count: count, hasNull: hasNull)
            body(&bytes)
        }
    }
}

extension [UInt8] {
    mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    /// One dimension, counted from 1.
    mutating func appendArrayHeader(_ type: ParameterType, count: Int, hasNull: Bool) {
        appendBigEndian(Int32(count == 0 ? 0 : 1))
        appendBigEndian(Int32(hasNull ? 1 : 0))
        appendBigEndian(type.rawValue)
        guard count > 0 else { return }
        appendBigEndian(Int32(count))
        appendBigEndian(Int32(1))
    }
}
