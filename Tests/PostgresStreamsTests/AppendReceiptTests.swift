import Foundation
import Testing
import TisynStreams

@testable import PostgresStreams

@Suite("Receipts", .timeLimit(.minutes(10)))
struct AppendReceiptTests {
    private static let text = #"""
        {"epoch":3,"offset":2,"position":17,"stream":"orders/17","token":"0123abcd-0000-4000-8000-00000000000f"}
        """#

    private func encoded(_ receipt: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(receipt), as: UTF8.self)
    }

    private func decoded(_ text: String) throws -> AppendReceipt {
        try JSONDecoder().decode(AppendReceipt.self, from: Data(text.utf8))
    }

    @Test("a receipt is written with the names of its parts, and read again")
    func form() throws {
        let receipt = try decoded(Self.text)
        #expect(receipt.stream == (try StreamName("orders/17")))
        #expect(receipt.epoch == 3)
        #expect(receipt.position == 17)
        #expect("\(receipt.token)" == "0123abcd-0000-4000-8000-00000000000f")
        #expect(receipt.offset == 2)
        #expect(try encoded(receipt) == Self.text)
        #expect(
            "\(receipt)"
                == "an append to orders/17 (epoch 3) from position 19 on, token 0123abcd-0000-4000-8000-00000000000f"
        )
        let unclaimed = Self.text.replacing(#""epoch":3,"#, with: "")
        #expect(try decoded(unclaimed).epoch == nil)
        #expect(try encoded(decoded(unclaimed)) == unclaimed)
    }

    @Test(
        "what no journal wrote is none",
        arguments: [
            ("orders/17", #"nu\u0000l"#), ("orders/17", ""), ("17,", "-1,"), ("17,", "9223372036854775807,"),
            (":2", ":-2"), ("0123abcd-", "0123abcd"), ("0123abcd", "0123ABCD"), ("0123abcd", "+123abcd"),
            ("0123abcd", "0123abcde"),
        ]
    )
    func malformed(_ part: String, _ other: String) throws {
        let text = Self.text.replacing(part, with: other)
        #expect(text != Self.text)
        #expect(throws: DecodingError.self) { try decoded(text) }
    }

    @Test("names that are equal in Unicode only stay apart")
    func names() throws {
        for text in ["e\u{301}", "\u{e9}", "a/\"b\"\n"] {
            let name = try StreamName(text)
            let read = try JSONDecoder().decode([StreamName].self, from: JSONEncoder().encode([name]))
            #expect(read == [name])
        }
    }
}
