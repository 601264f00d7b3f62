/// The parameters of one statement, laid one after the other in a single buffer: in PostgreSQL's binary format, or as
/// text of whatever type the server infers.
///
/// Values are added in order. The format of each is that of the `send`/`recv` functions of its type: integers big-endian,
/// text as it is, arrays as dimension header and length-prefixed elements.
package struct Parameters: Sendable {
    /// The first byte is none of theirs: with it even an empty value has an address, where libpq takes none for a null.
    private var bytes: [UInt8] = [0]
    private var places: [Place] = []

    /// Where a parameter lies in `bytes`.
    private struct Place {
        /// Nil for a null.
        var range: Range<Int>?
        /// libpq's code: 1 binary, 0 text.
        var format: Int32 = 1
    }

    package init(reservingCapacity capacity: Int = 0) {
        // As many as most statements take.
        places.reserveCapacity(8)
        bytes.reserveCapacity(max(128, capacity))
    }

    /// The size of what will be sent.
    package var byteCount: Int { bytes.count - 1 }

    /// A server takes fewer bytes than that for all parameters together: a message has less than 1 GiB. libpq counts their
    /// lengths in 32 bits, and must not be given more.
    package static let byteLimit = 1 << 30

    // MARK: Single values

    package mutating func append(_ value: String?) {
        guard let value else { return addNull() }
        add { bytes in bytes.append(contentsOf: value.utf8) }
    }

    package mutating func append(_ value: Int?) {
        guard let value else { return addNull() }
        add { bytes in bytes.appendBigEndian(Int64(value)) }
    }

    /// A `"char"`: one byte.
    package mutating func append(char value: UInt8) { add { $0.append(value) } }

    /// A value of any type as PostgreSQL's input function reads it. libpq takes it up to its first NUL, so that there must
    /// be none in it.
    package mutating func append(text value: String?) {
        guard let value else { return addNull() }
        let start = bytes.count
        bytes.append(contentsOf: value.utf8)
        bytes.append(0)
        places.append(Place(range: start..<(bytes.count - 1), format: 0))
    }

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

    /// A one-dimensional array. `body` adds exactly `count` elements of that type, in order.
    ///
    /// The hot path's arrays are written this way: no array of values has to be made first.
    package mutating func appendArray(
        _ type: ParameterType,
        count: Int,
        hasNull: Bool = false,
        _ body: (inout ArrayElements) -> Void
    ) {
        let start = bytes.count
        bytes.appendArrayHeader(type, count: count, hasNull: hasNull)
        var elements = ArrayElements(bytes: [])
        // Lent, not shared: a second reference would make the first write copy the buffer.
        swap(&bytes, &elements.bytes)
        body(&elements)
        swap(&bytes, &elements.bytes)
        assert(elements.count == count, "an array of \(count) got \(elements.count) elements")
        places.append(Place(range: start..<bytes.count))
    }

    package mutating func append(array values: [String]) {
        appendArray(.text, count: values.count) { elements in for value in values { elements.add(value) } }
    }

    package mutating func append(array values: [Int]) {
        appendArray(.int8, count: values.count) { elements in for value in values { elements.add(value) } }
    }

    // MARK: For libpq

    /// The arrays that libpq's calls take, valid inside `body` only.
    func withLibPQArrays<R>(
        _ body: (
            _ count: Int32, _ values: UnsafePointer<UnsafePointer<CChar>?>?, _ lengths: UnsafePointer<Int32>?,
            _ formats: UnsafePointer<Int32>?
        ) -> R
    ) -> R {
        // On the stack: this is done for every append, and every page of a tail.
        bytes.withUnsafeBytes { buffer in
            let base = buffer.bindMemory(to: CChar.self).baseAddress
            return withArray({ $0.range.flatMap { base?.advanced(by: $0.lowerBound) } }) { values in
                withArray({ Int32($0.range?.count ?? 0) }) { lengths in
                    withArray(\.format) { formats in body(Int32(places.count), values, lengths, formats) }
                }
            }
        }
    }

    private func withArray<Element, R>(
        _ element: (Place) -> Element,
        _ body: (UnsafePointer<Element>?) -> R
    ) -> R {
        withUnsafeTemporaryAllocation(of: Element.self, capacity: places.count) { array in
            for (index, place) in places.enumerated() { array.initializeElement(at: index, to: element(place)) }
            defer { array.deinitialize() }
            return body(UnsafePointer(array.baseAddress))
        }
    }

    private mutating func add(_ body: (inout [UInt8]) -> Void) {
        let start = bytes.count
        body(&bytes)
        places.append(Place(range: start..<bytes.count))
    }

    private mutating func addNull() {
        places.append(Place(range: nil))
    }
}

/// Where the elements of an array parameter go, each behind its length.
package struct ArrayElements {
    fileprivate var bytes: [UInt8]
    fileprivate var count = 0

    fileprivate init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func begin(_ byteCount: Int) {
        count += 1
        // One of which this is not the length is over the limit by itself: it is not sent.
        bytes.appendBigEndian(Int32(clamping: byteCount))
    }

    /// An int8, or a null.
    package mutating func add(_ value: Int?) {
        guard let value else { return begin(-1) }
        begin(8)
        bytes.appendBigEndian(Int64(value))
    }

    /// An int4.
    package mutating func add(_ value: Int32) {
        begin(4)
        bytes.appendBigEndian(value)
    }

    package mutating func add(_ value: Bool) {
        begin(1)
        bytes.append(value ? 1 : 0)
    }

    /// A `"char"`.
    package mutating func add(char value: UInt8) {
        begin(1)
        bytes.append(value)
    }

    /// A uuid.
    package mutating func add(_ value: Token) {
        begin(16)
        bytes.appendBigEndian(value.high)
        bytes.appendBigEndian(value.low)
    }

    /// Text, or a null.
    package mutating func add(_ value: String?) {
        guard let value else { return begin(-1) }
        begin(value.utf8.count)
        bytes.append(contentsOf: value.utf8)
    }

    /// Text, json or anything else that is sent as it is.
    package mutating func add(bytes value: UnsafeRawBufferPointer) {
        begin(value.count)
        bytes.append(contentsOf: value)
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
