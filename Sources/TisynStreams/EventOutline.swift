/// Where the parts of an event lie in its text: the result of the one pass that also validates the JSON.
///
/// Used by ``DurableEvent`` alone. Member names may be spelled with escapes, and of duplicates the last counts, so
/// nothing is judged before the pass is over; `EventOutline+Shape.swift` judges. Unknown members are passed over.
struct EventOutline {
    /// A value of the event, of whatever kind, without the white space around it.
    struct Part {
        let kind: JSONText.Kind
        let start: Int
        let end: Int
        /// Of a string: that it has no escapes.
        let isPlain: Bool
    }

    struct Description {
        var whole: Part?
        var type: Part?
        var name: Part?
        var input: Part?
        var sha: Part?
    }

    struct Failure {
        var whole: Part?
        var message: Part?
        var name: Part?
    }

    struct Result {
        var whole: Part?
        var status: Part?
        var value: Part?
        var error = Failure()
    }

    private(set) var whole: Part?
    private(set) var type: Part?
    private(set) var coroutineID: Part?
    private(set) var description = Description()
    private(set) var result = Result()

    /// - Parameter limit: the levels allowed, as for ``JSONScanner``.
    init(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(JSONError) {
        var scanner = JSONScanner(bytes, limit: limit)
        try scanner.beginText()
        whole = try scanner.scanMembers(level: 0) { scanner, name throws(JSONError) in
            if scanner.token(name, spells: "type") {
                type = try scanner.scanPart(level: 1)
            } else if scanner.token(name, spells: "coroutineId") {
                coroutineID = try scanner.scanPart(level: 1)
            } else if scanner.token(name, spells: "description") {
                description = try Self.scanDescription(&scanner)
            } else if scanner.token(name, spells: "result") {
                result = try Self.scanResult(&scanner)
            } else {
                try scanner.skipValue(level: 1)
            }
        }
        try scanner.endText()
    }

    private static func scanDescription(_ scanner: inout JSONScanner) throws(JSONError) -> Description {
        var found = Description()
        found.whole = try scanner.scanMembers(level: 1) { scanner, name throws(JSONError) in
            if scanner.token(name, spells: "type") {
                found.type = try scanner.scanPart(level: 2)
            } else if scanner.token(name, spells: "name") {
                found.name = try scanner.scanPart(level: 2)
            } else if scanner.token(name, spells: "input") {
                found.input = try scanner.scanPart(level: 2)
            } else if scanner.token(name, spells: "sha") {
                found.sha = try scanner.scanPart(level: 2)
            } else {
                try scanner.skipValue(level: 2)
            }
        }
        return found
    }

    private static func scanResult(_ scanner: inout JSONScanner) throws(JSONError) -> Result {
        var found = Result()
        found.whole = try scanner.scanMembers(level: 1) { scanner, name throws(JSONError) in
            if scanner.token(name, spells: "status") {
                found.status = try scanner.scanPart(level: 2)
            } else if scanner.token(name, spells: "value") {
                found.value = try scanner.scanPart(level: 2)
            } else if scanner.token(name, spells: "error") {
                found.error = try scanFailure(&scanner)
            } else {
                try scanner.skipValue(level: 2)
            }
        }
        return found
    }

    private static func scanFailure(_ scanner: inout JSONScanner) throws(JSONError) -> Failure {
        var found = Failure()
        found.whole = try scanner.scanMembers(level: 2) { scanner, name throws(JSONError) in
            if scanner.token(name, spells: "message") {
                found.message = try scanner.scanPart(level: 3)
            } else if scanner.token(name, spells: "name") {
                found.name = try scanner.scanPart(level: 3)
            } else {
                try scanner.skipValue(level: 3)
            }
        }
        return found
    }
}

extension JSONScanner {
    /// One value of any kind, and where it lies.
    @inline(__always)
    mutating func scanPart(level: Int) throws(JSONError) -> EventOutline.Part {
        guard let byte = peek(), let kind = JSONText.Kind(firstByte: byte) else { throw unexpected(.value) }
        let start = offset
        if kind == .string {
            let token = try scanString()
            return EventOutline.Part(kind: kind, start: start, end: offset, isPlain: token.isPlain)
        }
        try skipValue(level: level)
        return EventOutline.Part(kind: kind, start: start, end: offset, isPlain: false)
    }

    /// An object, for each of whose members `member` reads the value; a value of any other kind is passed over.
    @inline(__always)
    mutating func scanMembers(
        level: Int,
        member: (inout JSONScanner, Token) throws(JSONError) -> Void
    ) throws(JSONError) -> EventOutline.Part {
        guard peek() == UInt8(ascii: "{") else { return try scanPart(level: level) }
        let start = offset
        if try open(closing: UInt8(ascii: "}"), level: level) {
            var isFirst = true
            repeat {
                let name = try scanName(first: isFirst)
                isFirst = false
                try member(&self, name)
            } while try another(closing: UInt8(ascii: "}"))
        }
        return EventOutline.Part(kind: .object, start: start, end: offset, isPlain: false)
    }

    /// The value of a part that is a string.
    func string(_ part: EventOutline.Part) -> JSONString {
        string(token(of: part))
    }

    /// Whether a part that is a string spells `text`.
    func part(_ part: EventOutline.Part, spells text: StaticString) -> Bool {
        token(token(of: part), spells: text)
    }

    private func token(of part: EventOutline.Part) -> Token {
        Token(start: part.start + 1, end: part.end - 1, isPlain: part.isPlain)
    }
}
