import Testing

@testable import PostgresStreams

@Suite("Stream names")
struct StreamNameTests {
    @Test(
        "any text of 1 to 512 bytes without NUL is one",
        arguments: [
            "s", " ", "orders/17", "a\nb", "naïve", "😀", String(repeating: "x", count: 512),
            String(repeating: "é", count: 256),
        ]
    )
    func legal(text: String) throws {
        let name = try StreamName(text)
        #expect(name.text == text)
        #expect("\(name)" == text)
    }

    @Test(
        "what is empty, too long or holds a NUL is none",
        arguments: [
            "", String(repeating: "x", count: 513), String(repeating: "é", count: 257), "\0", "a\0b",
        ]
    )
    func illegal(text: String) {
        let error = #expect(throws: JournalError.self) { try StreamName(text) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.outcome == nil)
    }

    @Test("the error says how long a name may be and quotes nothing of it")
    func message() {
        let error = #expect(throws: JournalError.self) { try StreamName(String(repeating: "secret", count: 100)) }
        #expect(error?.description.contains("512") == true)
        #expect(error?.description.contains("600") == true)
        #expect(error?.description.contains("secret") == false)
    }

    @Test("names are the same when their bytes are, not when Unicode takes them for the same")
    func equality() throws {
        let composed = try StreamName("\u{E9}")
        let decomposed = try StreamName("e\u{301}")
        #expect(composed.text == decomposed.text)
        #expect(composed != decomposed)
        #expect(composed.digest != decomposed.digest)
        #expect(Set([composed, decomposed, composed]).count == 2)
        let again = try StreamName("\u{E9}")
        #expect(composed == again)
        #expect(composed.hashValue == again.hashValue)
    }

    @Test("the digest is the first 16 hex digits of SHA-256, as the function announce() makes it")
    func digest() throws {
        // The "abc" of FIPS 180-4; one that begins with a zero.
        #expect(try StreamName("abc").digest == 0xBA78_16BF_8F01_CFEA)
        #expect(try StreamName("a").digest == 0xCA97_8112_CA1B_BDCA)
        #expect(try StreamName("s").digest == 0x043A_7187_74C5_72BD)
    }

    @Test("the digest's bits spread streams evenly")
    func lanes() throws {
        #expect(try StreamName("abc").digest == 0xBA78_16BF_8F01_CFEA)
        let lanes = try (0..<1_000).map { try StreamName("stream/\($0)").digest % 4 }
        for lane in 0..<4 { #expect(lanes.count { $0 == lane } > 150) }
    }
}
