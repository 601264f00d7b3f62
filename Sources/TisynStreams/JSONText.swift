/// One valid JSON text (RFC 8259), kept byte for byte.
///
/// Events, effect inputs and results are `JSONText`. It never normalizes: white space, the order and the
/// duplicates of keys, the spelling of numbers and escapes stay as they were written. Two texts are equal when
/// their bytes are; use ``canonical()`` to compare what they mean.
///
/// A part of a text (``subscript(member:)``, ``elements``) shares the memory of the whole and so keeps the whole alive;
/// ``detached()`` makes an independent copy.
///
/// Example: `try JSONText(#"{"userId":"u-123"}"#)[member: "userId"]` is the text `"u-123"`, quotes included.
public struct JSONText {
    /// Keeps `bytes` alive. Nobody writes to them after the text is made.
    private let owner: any AnyObject & Sendable
    private let bytes: UnsafeRawBufferPointer

    /// Takes the text of `string` if it is valid JSON of at most 1,000 levels; white space around it is kept.
    public init(_ string: String) throws(JSONError) {
        try self.init(checking: JSONBytes(string.utf8))
    }

    /// Takes these bytes if they are valid JSON in valid UTF-8 of at most 1,000 levels.
    public init(utf8 bytes: some Sequence<UInt8>) throws(JSONError) {
        try self.init(checking: JSONBytes(bytes))
    }

    private init(checking storage: JSONBytes) throws(JSONError) {
        try JSONScanner.validate(storage.bytes)
        self.init(trusting: storage.bytes, owner: storage)
    }

    /// Takes bytes that are known to be JSON (PostgreSQL's `json` type or the scanner said so) without looking at them.
    ///
    /// - Parameters:
    ///   - bytes: stay valid and unchanged as long as `owner` lives.
    ///   - owner: kept by this text and by every part taken from it.
    package init(trusting bytes: UnsafeRawBufferPointer, owner: any AnyObject & Sendable) {
        self.owner = owner
        self.bytes = bytes
    }

    /// The same for bytes this module wrote itself.
    init(trusting bytes: [UInt8]) {
        let storage = JSONBytes(bytes)
        self.init(trusting: storage.bytes, owner: storage)
    }

    /// The length in bytes.
    public var utf8Count: Int { bytes.count }

    /// A copy of the bytes.
    public var utf8: [UInt8] { withUTF8Bytes { Array($0) } }

    /// A copy as a string.
    public var string: String { withUTF8Bytes { String(decoding: $0, as: UTF8.self) } }

    /// Lends the bytes without a copy. The buffer must not leave `body`.
    public func withUTF8Bytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withExtendedLifetime(owner) { try body(bytes) }
    }

    /// The same text in memory of its own, so that a small part does not keep a large whole alive.
    public func detached() -> JSONText {
        withUTF8Bytes { bytes in
            let storage = JSONBytes(bytes)
            return JSONText(trusting: storage.bytes, owner: storage)
        }
    }

    /// A part of this text that the scanner found to be a value of its own.
    func slice(_ range: Range<Int>) -> JSONText {
        JSONText(trusting: UnsafeRawBufferPointer(rebasing: bytes[range]), owner: owner)
    }

    /// `withUTF8Bytes` for bodies that throw what ``JSONScanner`` throws; `rethrows` would forget the type.
    func withBytes<R, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> R
    ) throws(Failure) -> R {
        defer { withExtendedLifetime(owner) {} }
        return try body(bytes)
    }
}

// `@unchecked`: the pointer is what the compiler cannot judge. It points to memory that `owner`, itself Sendable,
// keeps alive and that nobody writes to after the text is made; so any thread may read it.
extension JSONText: @unchecked Sendable {}

extension JSONText: Hashable {
    /// Byte equality.
    public static func == (left: JSONText, right: JSONText) -> Bool {
        left.withUTF8Bytes { leftBytes in
            right.withUTF8Bytes { rightBytes in leftBytes.hasSameBytes(as: rightBytes) }
        }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(bytes.count)
        withUTF8Bytes { hasher.combine(bytes: $0) }
    }
}

extension JSONText: CustomStringConvertible {
    /// The text itself.
    public var description: String { string }
}
