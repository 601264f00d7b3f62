import Testing
import TisynStreams

@Suite("Mutated events")
struct EventMutationTests {
    static let originals = [
        DurableEventTests.yield,
        DurableEventTests.close,
        #"{"type":"yield","coroutineId":"root","description":{"type":"a","name":"b"},"#
            + #""result":{"status":"error","error":{"message":"m","name":"E"}}}"#,
        #"{"type":"yield","coroutineId":"root","description":{"type":"a","name":"b","input":[{"x":"]}"},"\"\\"],"#
            + #""sha":"00"},"result":{"status":"ok","value":-1.5e3}}"#,
        #" {"type":"yield","coroutineId":"r\u006fot","description":{"type":"a","name":"b\ud800"},"#
            + #""result":{"status":"error","error":{"message":"é😀\n","name":"E"}},"x":[[],{},-1.5e-7,null,false]} "#,
    ]

    static let fragments: [[UInt8]] = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d", "null", "true", "-", "0", "1e9", ".", " ", "\n",
        "\0",
        "\u{FEFF}", "é", "😀", "\"type\":", "\"result\":{}", "[[[[[[[[", "}}}}",
    ].map { Array($0.utf8) }

    /// One to four edits: a byte changed, inserted or removed, a range repeated, a fragment put in, the end cut off.
    static func mutate(_ text: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
        var text = text
        for _ in 0..<Int.random(in: 1...4, using: &random) where !text.isEmpty {
            let position = text.indices.randomElement(using: &random) ?? 0
            let end = min(text.count, position + Int.random(in: 1...12, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0: text[position] = UInt8.random(in: 0...255, using: &random)
            case 1: text[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: text.removeSubrange(position..<end)
            case 3: text.insert(contentsOf: text[position..<end], at: position)
            case 4: text.insert(contentsOf: fragments.randomElement(using: &random) ?? [], at: position)
            default: text.removeLast(Int.random(in: 1...text.count, using: &random))
            }
        }
        return text
    }

    @Test(
        "Whatever is accepted can be read in full and reads the same again; errors point into the text",
        arguments: 0..<8
    )
    func consistent(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        var acceptedTexts = 0
        var acceptedEvents = 0
        for round in 0..<2_500 {
            let original = Self.originals[round % Self.originals.count]
            let bytes = Self.mutate(Array(original.utf8), using: &random)
            let json: JSONText
            do {
                json = try JSONText(utf8: bytes)
            } catch {
                #expect(error.offset >= 0 && error.offset <= bytes.count)
                let eventError = #expect(throws: EventError.self) { try DurableEvent(utf8: bytes) }
                #expect(eventError?.jsonError == error)
                continue
            }
            acceptedTexts += 1
            #expect(json.utf8 == bytes)
            #expect(String(validating: bytes, as: UTF8.self) != nil)
            let value = try json.value()
            if let canonical = try? json.canonical() {
                #expect(try JSONText(canonical).canonical() == canonical)
            }
            do {
                let event = try DurableEvent(utf8: bytes)
                acceptedEvents += 1
                #expect(try event == DurableEvent(json: json))
                #expect(value[member: "coroutineId"] == .string(event.coroutineID))
                let result = try event.result()
                let entry = try event.yieldEntry()
                #expect((entry == nil) == (event.kind == .close))
                // White space in front makes it an event that is not spelled as usual, which is read another way.
                #expect(try DurableEvent(utf8: [0x20] + bytes).yieldEntry() == entry)
                let rebuilt =
                    entry.map { DurableEvent.yield(event.coroutineID, $0.description, $0.result) }
                    ?? .close(event.coroutineID, result)
                let read = try DurableEvent(utf8: rebuilt.json.utf8)
                #expect(try read.result() == result)
                #expect(try read.yieldEntry() == entry)
            } catch {
                #expect(error.jsonError == nil)
                #expect(error.offset < bytes.count)
            }
        }
        // The loop would prove nothing if every mutation were refused.
        #expect(acceptedTexts > 150)
        #expect(acceptedEvents > 50)
    }

    @Test("Every prefix of an event is refused at its end")
    func prefixes() {
        for original in Self.originals {
            let bytes = Array(original.utf8)
            let end = (bytes.lastIndex(of: UInt8(ascii: "}")) ?? 0)
            for length in 0...end {
                let error = #expect(throws: EventError.self) { try DurableEvent(utf8: bytes[..<length]) }
                #expect((error?.jsonError?.offset ?? 0) >= length - 3)
            }
        }
    }
}
