/// Memory for a ``JSONText`` that came from this process: a copy of its bytes, written once and then only read.
///
/// `@unchecked Sendable`: nothing changes after `init`, and the memory is freed when the last reference goes.
final class JSONBytes: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer

    init(_ source: some Sequence<UInt8>) {
        let copy =
            source.withContiguousStorageIfAvailable { Self.copy(UnsafeRawBufferPointer($0)) }
            ?? Array(source).withUnsafeBytes { Self.copy($0) }
        bytes = UnsafeRawBufferPointer(copy)
    }

    deinit {
        bytes.deallocate()
    }

    private static func copy(_ source: UnsafeRawBufferPointer) -> UnsafeMutableRawBufferPointer {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 8)
        copy.copyMemory(from: source)
        return copy
    }
}

extension UnsafeRawBufferPointer {
    /// Whether both hold the same bytes, eight at a time.
    package func hasSameBytes(as other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        if baseAddress == other.baseAddress { return true }
        var index = 0
        while index &+ 8 <= count {
            let word = loadUnaligned(fromByteOffset: index, as: UInt64.self)
            guard word == other.loadUnaligned(fromByteOffset: index, as: UInt64.self) else { return false }
            index &+= 8
        }
        while index < count {
            guard self[index] == other[index] else { return false }
            index &+= 1
        }
        return true
    }
}
