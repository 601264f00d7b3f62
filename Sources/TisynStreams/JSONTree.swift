/// Builds a ``JSONValue`` from its text, in one pass and without recursion: for ``JSONText/value()``.
///
/// What is complete waits on one stack until the container around it ends, and then moves into it: each container is
/// allocated once, at its size, and nothing is copied.
struct JSONTree: ~Copyable {
    /// A value: complete, or an array or object whose end is still to come and whose values are above it.
    private struct Slot {
        /// Its own, as a member of the object around it; empty where it is no member.
        let name: JSONString
        /// Until the end of a container: an empty one of its kind.
        var value: JSONValue
        /// Of a container, until its end: where the one around it is.
        let outer: Int
    }

    private var scanner: JSONScanner
    /// Owned: `count` elements are initialized, `deinit` ends them and frees the memory.
    private var stack: UnsafeMutablePointer<Slot>
    private var capacity = 16
    private var count = 0
    /// Where the innermost container is whose end is still to come; -1: there is none.
    private var open = -1
    private var level = 0

    /// - Parameter limit: the levels allowed, as for ``JSONScanner``.
    static func value(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(JSONError) -> JSONValue {
        var tree = JSONTree(scanner: JSONScanner(bytes, limit: limit))
        try tree.scanner.beginText()
        try tree.build()
        try tree.scanner.endText()
        tree.count = 0
        return tree.stack.move().value
    }

    private init(scanner: JSONScanner) {
        self.scanner = scanner
        stack = .allocate(capacity: capacity)
    }

    deinit {
        stack.deinitialize(count: count)
        stack.deallocate()
    }

    private mutating func build() throws(JSONError) {
        var name: JSONScanner.Token?
        while true {
            if try scanned(name) {
                // A container with something in it: that comes next.
                (open, level) = (count &- 1, level &+ 1)
                name = isInObject ? try scanner.scanName(first: true) : nil
                continue
            }
            while true {
                guard open >= 0 else { return }
                if try scanner.another(closing: isInObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) { break }
                end()
            }
            name = isInObject ? try scanner.scanName(first: false) : nil
        }
    }

    private var isInObject: Bool {
        if case .object = stack[open].value { true } else { false }
    }

    /// Pushes the value at the cursor: of a container the empty one. Whether something stands in it.
    private mutating func scanned(_ name: JSONScanner.Token?) throws(JSONError) -> Bool {
        let value: JSONValue
        var hasContents = false
        guard let byte = scanner.peek() else { throw scanner.unexpected(.value) }
        switch byte {
        case UInt8(ascii: "\""):
            value = .string(scanner.string(try scanner.scanString()))
        case UInt8(ascii: "{"):
            hasContents = try scanner.open(closing: UInt8(ascii: "}"), level: level)
            value = .object([])
        case UInt8(ascii: "["):
            hasContents = try scanner.open(closing: UInt8(ascii: "]"), level: level)
            value = .array([])
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let start = scanner.offset
            try scanner.scanNumber()
            value = .number(String(checkedUTF8: scanner.bytes(from: start)))
        case UInt8(ascii: "t"):
            try scanner.scanLiteral("true")
            value = .bool(true)
        case UInt8(ascii: "f"):
            try scanner.scanLiteral("false")
            value = .bool(false)
        case UInt8(ascii: "n"):
            try scanner.scanLiteral("null")
            value = .null
        default:
            throw scanner.unexpected(.value)
        }
        if count == capacity { grow() }
        let name = name.map(scanner.string) ?? JSONString(encoded: "")
        (stack + count).initialize(to: Slot(name: name, value: value, outer: open))
        count &+= 1
        return hasContents
    }

    /// The innermost container is complete: what is above it moves into it.
    private mutating func end() {
        let first = open &+ 1
        if isInObject {
            var members: [JSONValue.Member] = []
            members.reserveCapacity(count &- first)
            for index in first..<count {
                let slot = (stack + index).move()
                members.append(JSONValue.Member(name: slot.name, value: slot.value))
            }
            stack[open].value = .object(members)
        } else {
            var elements: [JSONValue] = []
            elements.reserveCapacity(count &- first)
            for index in first..<count { elements.append((stack + index).move().value) }
            stack[open].value = .array(elements)
        }
        (count, open, level) = (first, stack[open].outer, level &- 1)
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Slot>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: stack, count: count)
        stack.deallocate()
        stack = larger
        capacity *= 2
    }
}
