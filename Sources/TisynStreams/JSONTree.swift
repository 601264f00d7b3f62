/// Builds a ``JSONValue`` while the scanner passes over its text: for ``JSONText/value()``.
///
/// What is complete waits on one stack until the container around it ends, and then moves into it: each container is
/// allocated once, at its size, and nothing is copied.
struct JSONTree: JSONRecorder, ~Copyable {
    /// An array or object whose end is still to come.
    private struct Container {
        let isObject: Bool
        /// How many values were on the stack when it began.
        let start: Int
        /// Its own, as a member of the object around it.
        let name: JSONString
    }

    /// The text that is scanned; used only while it is.
    private let bytes: UnsafeRawBufferPointer
    /// Owned: `count` elements are initialized, `deinit` ends them and frees the memory. Elements of arrays have no name.
    private var stack: UnsafeMutablePointer<JSONValue.Member>
    private var capacity = 16
    private var count = 0
    private var containers: ContiguousArray<Container> = []
    /// That of the value to come, in an object.
    private var name = JSONTree.none

    private static var none: JSONString { JSONString(encoded: "") }

    /// - Parameter limit: the levels allowed, as for ``JSONScanner``.
    static func value(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(JSONError) -> JSONValue {
        var tree = JSONTree(bytes: bytes)
        var scanner = JSONScanner(bytes, limit: limit)
        try scanner.beginText()
        try scanner.scanValue(level: 0, into: &tree)
        try scanner.endText()
        tree.count -= 1
        return (tree.stack + tree.count).move().value
    }

    private init(bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        stack = .allocate(capacity: capacity)
        containers.reserveCapacity(8)
    }

    deinit {
        stack.deinitialize(count: count)
        stack.deallocate()
    }

    mutating func begin(_ kind: JSONText.Kind, at offset: Int) {
        containers.append(Container(isObject: kind == .object, start: count, name: name))
        name = Self.none
    }

    mutating func end(at offset: Int) {
        let container = containers.removeLast()
        let first = stack + container.start
        let number = count - container.start
        count = container.start
        let value: JSONValue
        if container.isObject {
            var members: [JSONValue.Member] = []
            members.reserveCapacity(number)
            for index in 0..<number { members.append((first + index).move()) }
            value = .object(members)
        } else {
            var elements: [JSONValue] = []
            elements.reserveCapacity(number)
            for index in 0..<number { elements.append((first + index).move().value) }
            value = .array(elements)
        }
        name = container.name
        push(value)
    }

    mutating func name(_ token: JSONScanner.Token) { name = string(of: token) }

    mutating func string(_ token: JSONScanner.Token) { push(.string(string(of: token))) }

    mutating func scalar(_ kind: JSONText.Kind, from start: Int, to end: Int) {
        let content = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
        switch kind {
        case .bool: push(.bool(content.first == UInt8(ascii: "t")))
        case .number: push(.number(String(checkedUTF8: content)))
        case .null, .string, .array, .object: push(.null)
        }
    }

    private mutating func push(_ value: consuming JSONValue) {
        if count == capacity { grow() }
        (stack + count).initialize(to: JSONValue.Member(name: name, value: value))
        count += 1
        name = Self.none
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<JSONValue.Member>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: stack, count: count)
        stack.deallocate()
        stack = larger
        capacity *= 2
    }

    private func string(of token: JSONScanner.Token) -> JSONString {
        JSONString(
            content: UnsafeRawBufferPointer(rebasing: bytes[token.start..<token.end]),
            isPlain: token.isPlain
        )
    }
}
