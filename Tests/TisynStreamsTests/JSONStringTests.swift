import Testing
import TisynStreams

@Suite("JSON strings")
struct JSONStringTests {
    @Test("Ordinary text is its own encoding", arguments: ["", "root", "root.0.12", "fraud-detector", "é😀\u{7F}/"])
    func ordinary(text: String) {
        let string = JSONString(text)
        #expect(string.encoded == text)
        #expect(string.string == text)
        #expect(string.description == text)
        #expect(string.utf16 == Array(text.utf16))
    }

    @Test(
        "What must be escaped is escaped as JSON.stringify does",
        arguments: [
            ([0x00], #"\u0000"#), ([0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D], #"\b\t\n\u000b\f\r"#), ([0x1F], #"\u001f"#),
            ([0x22, 0x5C, 0x2F], #"\"\\/"#), ([0xD800], #"\ud800"#), ([0xDFFF, 0xDBFF], #"\udfff\udbff"#),
            ([0xD83D, 0xDE00], "😀"), ([0xDE00, 0xD83D, 0xDE00], #"\ude00😀"#), ([0xD83D, 0xD83D, 0xDE00], #"\ud83d😀"#),
            ([0xD800, 0x61], #"\ud800a"#), ([0x2028], "\u{2028}"), ([0xFFFF], "\u{FFFF}"),
        ] as [([UInt16], String)]
    )
    func escapes(units: [UInt16], encoded: String) throws {
        let string = JSONString(utf16: units)
        #expect(string.encoded == encoded)
        #expect(string.utf16 == units)
        #expect(JSONString(encoded: encoded) == string)
        #expect(try JSONText("\"\(encoded)\"").stringValue == string)
        #expect(JSONText.string(string).string == "\"\(encoded)\"")
        #expect(!string.encoded.utf8.contains(0))
    }

    @Test("Every spelling of a string is the same string")
    func spellings() throws {
        for text in [#""A/é""#, #""\u0041\/\u00e9""#, #""\u0041\/\u00E9""#] {
            #expect(try JSONText(text).stringValue == "A/é")
        }
        #expect(try JSONText(#""\ud83d\ude00\ud83d""#).stringValue == JSONString(utf16: [0xD83D, 0xDE00, 0xD83D]))
    }

    @Test("Strings that Swift calls canonically equivalent are different strings")
    func exactEquality() {
        let composed = JSONString("\u{E9}")
        let decomposed = JSONString("e\u{301}")
        #expect(composed.string == decomposed.string)
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed, JSONString("\u{E9}")]).count == 2)
    }

    @Test("A text that looks like an escape is not the character it spells")
    func lookalikes() {
        #expect(JSONString(#"\n"#) != "\n")
        #expect(JSONString(#"\n"#).encoded == #"\\n"#)
        #expect(JSONString(#"\ud800"#) != JSONString(utf16: [0xD800]))
        #expect(JSONString(#"\ud800"#).string == #"\ud800"#)
    }

    @Test("A lone surrogate becomes U+FFFD in a Swift string, and only there")
    func lossyString() {
        let string = JSONString(utf16: [0x61, 0xDC00, 0x62])
        #expect(string.string == "a\u{FFFD}b")
        #expect(string != "a\u{FFFD}b")
    }

    @Test("Encodings are injective and decode to what was encoded, for random code units")
    func injective() throws {
        let alphabet: [UInt16] = [
            0, 0x09, 0x1F, 0x22, 0x5C, 0x61, 0x75, 0x64, 0x38, 0x30, 0xE9, 0xD800, 0xDBFF, 0xDC00, 0xDFFF,
        ]
        var random = SeededGenerator(seed: 8259)
        var seen: [String: [UInt16]] = [:]
        for _ in 0..<20_000 {
            let length = Int.random(in: 0...6, using: &random)
            let units = (0..<length).compactMap { _ in alphabet.randomElement(using: &random) }
            let string = JSONString(utf16: units)
            #expect(string.utf16 == units)
            #expect(try JSONText.string(string).canonical() == "\"\(string.encoded)\"")
            #expect(seen.updateValue(units, forKey: string.encoded).map { $0 == units } ?? true)
        }
        #expect(seen.count > 5_000)
    }

    @Test("Children append their number")
    func children() {
        #expect(CoroutineID.root.encoded == "root")
        #expect(CoroutineID.root.child(0).child(12) == "root.0.12")
        #expect(JSONString(utf16: [0xD800]).child(1).utf16 == [0xD800, 0x2E, 0x31])
    }
}
