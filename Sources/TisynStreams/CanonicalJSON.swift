/// Writes a JSON text in canonical form (contract §4; RFC 8785 on well-formed input).
///
/// Used by ``JSONText/canonical()`` and ``JSONText/payloadSHA()``. Walks a ``JSONTape`` with a stack of its own, so
/// that depth costs memory and not the thread's stack.
struct CanonicalJSON {
    private let bytes: UnsafeRawBufferPointer
    private let entries: [JSONTape.Entry]
    private var open: [Container] = []
    private(set) var output: [UInt8] = []

    /// - Throws: for bytes that are no JSON, and for a number beyond the range of a double.
    init(_ bytes: UnsafeRawBufferPointer) throws(JSONError) {
        self.bytes = bytes
        entries = try JSONTape(bytes, limit: .max).entries
        output.reserveCapacity(bytes.count)
        try write(0)
        while let innermost = open.indices.last {
            guard let child = open[innermost].nextChild(entries) else {
                output.append(open.removeLast().closing)
                continue
            }
            if child.isFirst == false { output.append(UInt8(ascii: ",")) }
            if let name = child.name {
                writeString(entries[name])
                output.append(UInt8(ascii: ":"))
            }
            try write(child.value)
        }
    }

    /// A container that is being written: an array's children follow the tape, an object's its sorted names.
    private struct Container {
        let closing: UInt8
        var names: [Int]?
        var position: Int
        let end: Int
        var isFirst = true

        mutating func nextChild(_ entries: [JSONTape.Entry]) -> (name: Int?, value: Int, isFirst: Bool)? {
            guard position < end else { return nil }
            defer { isFirst = false }
            if let names {
                let name = names[position]
                position += 1
                return (name, name + 1, isFirst)
            }
            let value = position
            position = entries[value].next
            return (nil, value, isFirst)
        }
    }

    private mutating func write(_ index: Int) throws(JSONError) {
        let entry = entries[index]
        switch entry.kind {
        case .null, .bool: output.append(contentsOf: bytes[entry.start..<entry.end])
        case .number: try writeNumber(entry)
        case .string: writeString(entry)
        case .array:
            output.append(UInt8(ascii: "["))
            open.append(Container(closing: UInt8(ascii: "]"), position: index + 1, end: entry.next))
        case .object:
            output.append(UInt8(ascii: "{"))
            let names = sortedNames(of: index)
            open.append(Container(closing: UInt8(ascii: "}"), names: names, position: 0, end: names.count))
        }
    }

    private mutating func writeString(_ entry: JSONTape.Entry) {
        output.append(UInt8(ascii: "\""))
        if entry.isPlain {
            output.append(contentsOf: bytes[entry.start..<entry.end])
        } else {
            output.append(contentsOf: string(entry).encoded.utf8)
        }
        output.append(UInt8(ascii: "\""))
    }

    private mutating func writeNumber(_ entry: JSONTape.Entry) throws(JSONError) {
        let text = bytes[entry.start..<entry.end]
        if CanonicalNumber.isCanonicalInteger(text) {
            output.append(contentsOf: text)
            return
        }
        guard let number = CanonicalNumber(String(decoding: text, as: UTF8.self)) else {
            throw JSONError(offset: entry.start, problem: .numberOutOfRange)
        }
        output.append(contentsOf: number.text.utf8)
    }

    /// The names of an object's members by UTF-16 code units; of duplicates only the last, as `JSON.parse` keeps it.
    private func sortedNames(of object: Int) -> [Int] {
        var names: [Int] = []
        var child = object + 1
        while child < entries[object].next {
            names.append(child)
            child = entries[child + 1].next
        }
        guard names.count > 1 else { return names }
        // The order of UTF-8 bytes is that of UTF-16 code units for ASCII, but not for all of Unicode: U+FF5E comes
        // after U+1F600 in UTF-16 (D83D …), before it in UTF-8.
        let keys = names.map { name in
            let entry = entries[name]
            return (name: name, units: entry.isPlain ? units(ofPlain: entry) : string(entry).utf16)
        }
        let sorted = keys.sorted { left, right in
            left.units == right.units ? left.name < right.name : left.units.lexicographicallyPrecedes(right.units)
        }
        return sorted.indices.compactMap { index in
            let isLast = index + 1 == sorted.count || sorted[index + 1].units != sorted[index].units
            return isLast ? sorted[index].name : nil
        }
    }

    private func units(ofPlain entry: JSONTape.Entry) -> [UInt16] {
        let content = bytes[entry.start..<entry.end]
        if content.allSatisfy({ $0 < 0x80 }) { return content.map(UInt16.init) }
        return Array(String(decoding: content, as: UTF8.self).utf16)
    }

    private func string(_ entry: JSONTape.Entry) -> JSONString {
        let content = UnsafeRawBufferPointer(rebasing: bytes[entry.start..<entry.end])
        return JSONString(content: content, isPlain: entry.isPlain)
    }
}
