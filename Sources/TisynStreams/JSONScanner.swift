/// Reads JSON text strictly (RFC 8259), in place and without recursion: checks every byte, builds nothing.
///
/// ``JSONText`` uses it to validate, ``EventOutline`` to split an event in the same pass, ``JSONTape`` to note where
/// the values are. It keeps text as text: lone surrogate escapes, `\u0000`, duplicate keys and numbers of any
/// size are legal JSON and pass. It never interprets a value and never reads outside its bytes.
///
/// It borrows `bytes`: whoever makes a scanner keeps the memory alive and unchanged while the scanner is used.
struct JSONScanner {
    /// How deep arrays and objects of a text from outside may nest. The scanner itself needs no stack; the
    /// limit protects readers that do (contract §1: "any depth that is reasonable").
    static let maximumDepth = 1_000

    let bytes: UnsafeRawBufferPointer
    let limit: Int
    /// The next byte to read. Only ever grows, up to `bytes.count`.
    private(set) var offset = 0

    /// - Parameter limit: levels allowed; `Int.max` for text this process already holds as JSON.
    init(_ bytes: UnsafeRawBufferPointer, limit: Int = maximumDepth) {
        self.bytes = bytes
        self.limit = limit
    }

    /// A string as it stands in the text: the bytes between its quotes.
    struct Token {
        let start: Int
        let end: Int
        /// No escapes: the bytes are the string's UTF-8 and its canonical form at once.
        let isPlain: Bool
    }

    /// Checks that `bytes` is one JSON text, white space around it allowed.
    static func validate(_ bytes: UnsafeRawBufferPointer) throws(JSONError) {
        var scanner = JSONScanner(bytes)
        try scanner.beginText()
        var nothing = NoRecording()
        try scanner.scanValue(level: 0, into: &nothing)
        try scanner.endText()
    }

    // MARK: - Stepping, for readers that know what they look for

    /// The byte at the cursor after white space, or nothing at the end of the text.
    @inline(__always)
    mutating func peek() -> UInt8? {
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte > 0x20 { return byte }
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            offset &+= 1
        }
        return nil
    }

    func beginText() throws(JSONError) {
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
            throw JSONError(offset: 0, problem: .byteOrderMark)
        }
    }

    mutating func endText() throws(JSONError) {
        if peek() != nil { throw unexpected(.end) }
    }

    /// Consumes `{` or `[` and says whether something stands before its closing bracket; consumes that if not.
    @inline(__always)
    mutating func open(closing: UInt8, level: Int) throws(JSONError) -> Bool {
        guard level < limit else { throw JSONError(offset: offset, problem: .tooDeep(limit: limit)) }
        offset &+= 1
        guard peek() == closing else { return true }
        offset &+= 1
        return false
    }

    /// After an element or member: consumes `,` (true: another follows) or the closing bracket (false).
    @inline(__always)
    mutating func another(closing: UInt8) throws(JSONError) -> Bool {
        let byte = peek()
        guard byte == UInt8(ascii: ",") || byte == closing else {
            throw unexpected(closing == UInt8(ascii: "}") ? .commaOrBrace : .commaOrBracket)
        }
        offset &+= 1
        return byte != closing
    }

    /// A member's name and the colon after it. `first`: a `}` would have been welcome too.
    @inline(__always)
    mutating func scanName(first: Bool) throws(JSONError) -> Token {
        guard peek() == UInt8(ascii: "\"") else { throw unexpected(first ? .memberNameOrEnd : .memberName) }
        let name = try scanString()
        guard peek() == UInt8(ascii: ":") else { throw unexpected(.colon) }
        offset &+= 1
        return name
    }

    /// One value of any kind; `level` counts the containers already open around it.
    mutating func skipValue(level: Int) throws(JSONError) {
        var nothing = NoRecording()
        try scanValue(level: level, into: &nothing)
    }

    // MARK: - One value

    /// Reads the value at the cursor, its children included, and tells `recorder` what it met, in document order.
    ///
    /// A loop with one bit per open container instead of recursion, so that a text of nothing but brackets
    /// costs bits, not stack.
    mutating func scanValue<Recorder: JSONRecorder & ~Copyable>(
        level: Int,
        into recorder: inout Recorder
    ) throws(JSONError) {
        var nesting = JSONNesting()
        value: while true {
            guard let byte = peek() else { throw unexpected(.value) }
            let start = offset
            switch byte {
            case UInt8(ascii: "\""):
                let token = try scanString()
                recorder.string(token)
            case UInt8(ascii: "{"):
                if try open(closing: UInt8(ascii: "}"), level: level &+ nesting.count) {
                    recorder.begin(.object, at: start)
                    nesting.push(isObject: true)
                    recorder.name(try scanName(first: true))
                    continue value
                }
                recorder.begin(.object, at: start)
                recorder.end(at: offset)
            case UInt8(ascii: "["):
                if try open(closing: UInt8(ascii: "]"), level: level &+ nesting.count) {
                    recorder.begin(.array, at: start)
                    nesting.push(isObject: false)
                    continue value
                }
                recorder.begin(.array, at: start)
                recorder.end(at: offset)
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                try scanNumber()
                recorder.scalar(.number, from: start, to: offset)
            case UInt8(ascii: "t"):
                try scanLiteral("true")
                recorder.scalar(.bool, from: start, to: offset)
            case UInt8(ascii: "f"):
                try scanLiteral("false")
                recorder.scalar(.bool, from: start, to: offset)
            case UInt8(ascii: "n"):
                try scanLiteral("null")
                recorder.scalar(.null, from: start, to: offset)
            default:
                throw unexpected(.value)
            }
            while nesting.count > 0 {
                if nesting.isObject {
                    if try another(closing: UInt8(ascii: "}")) {
                        recorder.name(try scanName(first: false))
                        continue value
                    }
                } else if try another(closing: UInt8(ascii: "]")) {
                    continue value
                }
                nesting.pop()
                recorder.end(at: offset)
            }
            return
        }
    }

    func unexpected(_ expected: JSONError.Expectation) -> JSONError {
        unexpected(expected, at: offset)
    }

    func unexpected(_ expected: JSONError.Expectation, at offset: Int) -> JSONError {
        guard offset < bytes.count else {
            return JSONError(offset: bytes.count, problem: .unexpectedEnd(expected: expected))
        }
        return JSONError(offset: offset, problem: .unexpected(bytes[offset], expected: expected))
    }

    /// For the extensions that read one kind of token: they look ahead on their own and settle here.
    @inline(__always)
    mutating func advance(to offset: Int) {
        self.offset = offset
    }
}
