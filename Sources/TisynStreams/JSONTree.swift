/// Builds a ``JSONValue`` while the scanner passes over its text: for ``JSONText/value()``.
///
/// What is complete waits on a stack until the container around it ends, and then moves into it: each container is
/// allocated once, at its size, and nothing is copied.
struct JSONTree: JSONRecorder {
    private struct Container {
        let isObject: Bool
        /// How many values were on the stack when it began.
        let start: Int
    }

    /// The text that is scanned; used only while it is.
    private let bytes: UnsafeRawBufferPointer
    private let values = MoveStack<JSONValue>(capacity: 16)
    /// Of the members of all objects that are open, but of those whose value comes next the last has none yet.
    private let names = MoveStack<JSONString>(capacity: 16)
    private var containers: ContiguousArray<Container> = []

    /// - Parameter limit: the levels allowed, as for ``JSONScanner``.
    static func value(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(JSONError) -> JSONValue {
        var tree = JSONTree(bytes: bytes)
        var scanner = JSONScanner(bytes, limit: limit)
        try scanner.beginText()
        try scanner.scanValue(level: 0, into: &tree)
        try scanner.endText()
        return tree.values.count == 0 ? .null : tree.values.pop()
    }

    private init(bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        containers.reserveCapacity(8)
    }

    mutating func begin(_ kind: JSONText.Kind, at offset: Int) {
        containers.append(Container(isObject: kind == .object, start: values.count))
    }

    mutating func end(at offset: Int) {
        guard let container = containers.popLast() else { return }
        let count = values.count - container.start
        if container.isObject {
            let members = [(name: JSONString, value: JSONValue)](unsafeUninitializedCapacity: count) {
                members,
                filled in
                for index in stride(from: count - 1, through: 0, by: -1) {
                    members.initializeElement(at: index, to: (names.pop(), values.pop()))
                }
                filled = count
            }
            values.push(.object(members))
        } else {
            values.push(.array(values.popLast(count)))
        }
    }

    mutating func name(_ token: JSONScanner.Token) { names.push(string(of: token)) }

    mutating func string(_ token: JSONScanner.Token) { values.push(.string(string(of: token))) }

    mutating func scalar(_ kind: JSONText.Kind, from start: Int, to end: Int) {
        let content = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
        switch kind {
        case .bool: values.push(.bool(content.first == UInt8(ascii: "t")))
        case .number: values.push(.number(String(decoding: content, as: UTF8.self)))
        case .null, .string, .array, .object: values.push(.null)
        }
    }

    private func string(of token: JSONScanner.Token) -> JSONString {
        JSONString(
            content: UnsafeRawBufferPointer(rebasing: bytes[token.start..<token.end]),
            isPlain: token.isPlain
        )
    }
}
