/// Cuts what comes over a connection into messages: a letter, a length, a body; the client's first has no letter.
struct MessageFraming {
    struct Message {
        var letter: Character
        var bytes: [UInt8]

        /// The body as far as it is text.
        var text: String { String(decoding: bytes.prefix(4096), as: UTF8.self) }
    }

    private var rest: [UInt8] = []
    private var expectsStartup: Bool

    init(hasStartup: Bool) { expectsStartup = hasStartup }

    mutating func take(_ bytes: [UInt8]) -> [Message] {
        rest += bytes
        var messages: [Message] = []
        var start = 0
        while let count = size(at: start), start + count <= rest.count {
            let letter = expectsStartup ? "^" : Character(Unicode.Scalar(rest[start]))
            messages.append(Message(letter: letter, bytes: Array(rest[start..<(start + count)])))
            expectsStartup = false
            start += count
        }
        rest.removeFirst(start)
        return messages
    }

    private func size(at start: Int) -> Int? {
        let lengthAt = start + (expectsStartup ? 0 : 1)
        guard lengthAt + 4 <= rest.count else { return nil }
        let length = rest[lengthAt..<(lengthAt + 4)].reduce(0) { $0 << 8 | Int($1) }
        return lengthAt - start + length
    }
}
