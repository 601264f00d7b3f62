import Testing
import TisynStreams

@Suite("UTF-8 validity (RFC 3629)")
struct UTF8ValidityTests {
    @Test(
        "The first and last code point of every length is accepted",
        arguments: [
            [0x7F], [0xC2, 0x80], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xED, 0x9F, 0xBF], [0xEE, 0x80, 0x80],
            [0xEF, 0xBF, 0xBF], [0xF0, 0x90, 0x80, 0x80], [0xF4, 0x8F, 0xBF, 0xBF], [0xF3, 0xA0, 0x80, 0x81],
        ] as [[UInt8]]
    )
    func accepts(sequence: [UInt8]) throws {
        let text = [0x22] + sequence + sequence + [0x22]
        #expect(try JSONText(utf8: text).utf8 == text)
    }

    @Test(
        "Overlong, surrogate, out of range, stray and truncated sequences are refused at their first byte",
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xF0, 0x80, 0x80, 0x80],
            [0xF0, 0x8F, 0xBF, 0xBF], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80], [0xFE], [0xFF], [0xC2], [0xC2, 0x41], [0xE2, 0x82], [0xE2, 0x82, 0x41],
            [0xE2, 0x41, 0xAC], [0xF0, 0x9F, 0x98], [0xF0, 0x9F, 0x98, 0x41], [0xF0, 0x9F, 0x41, 0x80], [0xF0],
        ] as [[UInt8]]
    )
    func refuses(sequence: [UInt8]) throws {
        for padding in [0, 1, 7, 8, 9] {
            let before = [0x22] + [UInt8](repeating: 0x61, count: padding)
            let closed = #expect(throws: JSONError.self) { try JSONText(utf8: before + sequence + [0x22]) }
            #expect(closed?.offset == before.count)
            #expect(closed?.reason.hasSuffix("begins no valid UTF-8 sequence") == true)
            let cut = #expect(throws: JSONError.self) { try JSONText(utf8: before + sequence) }
            #expect(cut?.offset == before.count)
        }
    }

    @Test("Exactly the two-byte sequences that Swift's own decoder accepts are accepted")
    func agreesOnTwoBytes() {
        for first in UInt8(0x80)...0xFF {
            for second in UInt8(0x80)...0xFF {
                let isValid = String(validating: [first, second], as: UTF8.self) != nil
                let isAccepted = (try? JSONText(utf8: [0x22, first, second, 0x22])) != nil
                #expect(isValid == isAccepted, "\(first) \(second)")
            }
        }
    }

    @Test("Random sequences are accepted exactly when Swift's own decoder accepts them")
    func agreesOnRandomBytes() {
        var random = SeededGenerator(seed: 3629)
        var accepted = 0
        for _ in 0..<20_000 {
            let lead = UInt8.random(in: 0xE0...0xF5, using: &random)
            let rest = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                UInt8.random(in: 0x7C...0xC3, using: &random)
            }
            let isValid = String(validating: [lead] + rest, as: UTF8.self) != nil
            let isAccepted = (try? JSONText(utf8: [0x22, lead] + rest + [0x22])) != nil
            #expect(isValid == isAccepted, "\(lead) \(rest)")
            accepted += isAccepted ? 1 : 0
        }
        #expect(accepted > 1_000)
    }
}
