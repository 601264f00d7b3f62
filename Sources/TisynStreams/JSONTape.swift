/// Where every value of a JSON text lies: a flat list in document order, built in one pass.
///
/// Canonical encoding reads it. Being flat, it is walked without recursion however deep the
/// text is. It holds offsets only and is meaningless without the bytes it was made from.
struct JSONTape: JSONRecorder {
    struct Entry {
        let kind: JSONText.Kind
        /// Of a string: that it has no escapes. Unused otherwise.
        let isPlain: Bool
        /// The value's bytes; for a string the bytes between its quotes.
        let start: Int
        var end: Int
        /// The index after this entry and everything inside it.
        var next: Int
    }

    /// A member of an object is two entries in sequence: its name (a string), then its value.
    private(set) var entries: [Entry] = []
    private var open: [Int] = []

    /// - Parameter limit: the levels allowed, as for ``JSONScanner``.
    init(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(JSONError) {
        var scanner = JSONScanner(bytes, limit: limit)
        try scanner.beginText()
        try scanner.scanValue(level: 0, into: &self)
        try scanner.endText()
    }

    mutating func begin(_ kind: JSONText.Kind, at offset: Int) {
        open.append(entries.count)
        append(kind, isPlain: false, from: offset, to: offset)
    }

    mutating func end(at offset: Int) {
        guard let index = open.popLast() else { return }
        entries[index].end = offset
        entries[index].next = entries.count
    }

    mutating func name(_ token: JSONScanner.Token) {
        string(token)
    }

    mutating func string(_ token: JSONScanner.Token) {
        append(.string, isPlain: token.isPlain, from: token.start, to: token.end)
    }

    mutating func scalar(_ kind: JSONText.Kind, from start: Int, to end: Int) {
        append(kind, isPlain: false, from: start, to: end)
    }

    private mutating func append(_ kind: JSONText.Kind, isPlain: Bool, from start: Int, to end: Int) {
        entries.append(Entry(kind: kind, isPlain: isPlain, start: start, end: end, next: entries.count + 1))
    }
}
