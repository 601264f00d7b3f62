import Testing

@testable import LibPQ

@Suite("Tokens")
struct TokenTests {
    @Test("a token is written as a uuid, in lower case and with its leading zeros")
    func description() {
        let token = Token(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210)
        #expect("\(token)" == "01234567-89ab-cdef-fedc-ba9876543210")
        #expect("\(Token(high: 0, low: 0))" == "00000000-0000-0000-0000-000000000000")
        #expect("\(Token(high: 1, low: 1))" == "00000000-0000-0001-0000-000000000001")
        #expect("\(Token(high: .max, low: .max))" == "ffffffff-ffff-ffff-ffff-ffffffffffff")
    }

    @Test("what was written is read again, and nothing else")
    func parsing() {
        for text in ["01234567-89ab-cdef-fedc-ba9876543210", "00000000-0000-0000-0000-000000000001"] {
            #expect(Token(text)?.description == text)
        }
        for text in [
            "", "0123456789abcdeffedcba9876543210", "01234567-89AB-cdef-fedc-ba9876543210",
            "+1234567-89ab-cdef-fedc-ba9876543210", "01234567-89ab-cdef-fedc-ba987654321",
            "0123456-789ab-cdef-fedc-ba9876543210", "g1234567-89ab-cdef-fedc-ba9876543210",
        ] {
            #expect(Token(text) == nil, "\(text)")
        }
    }

    @Test("a random one is marked as version 4 (RFC 9562 §5.4) and takes all its other bits from the generator")
    func random() {
        struct Fixed: RandomNumberGenerator {
            var bits: UInt64
            mutating func next() -> UInt64 { bits }
        }
        var ones = Fixed(bits: .max)
        #expect("\(Token.random(using: &ones))" == "ffffffff-ffff-4fff-bfff-ffffffffffff")
        var zeros = Fixed(bits: 0)
        #expect("\(Token.random(using: &zeros))" == "00000000-0000-4000-8000-000000000000")
    }

    @Test("random ones differ")
    func distinct() {
        var generator = SystemRandomNumberGenerator()
        let tokens = (0..<1_000).map { _ in Token.random(using: &generator) }
        #expect(Set(tokens).count == 1_000)
    }
}
