import Testing

@testable import TisynStreams

@Suite("JSON text")
struct JSONTextTests {
    @Test("Texts are equal and hash alike exactly when their bytes are equal")
    func equality() throws {
        let text = try JSONText(#"{"a":[1,2,3],"b":"long enough to span several words"}"#)
        #expect(text == text.detached())
        #expect(text.hashValue == text.detached().hashValue)
        #expect(try text != JSONText(#"{"a":[1,2,3],"b":"long enough to span several wordz"}"#))
        #expect(try JSONText("1") != JSONText("1.0"))
        #expect(try JSONText("1") != JSONText("1 "))
        #expect(try JSONText("\"e\u{301}\"") != JSONText("\"\u{E9}\""))
        #expect(try Set([JSONText("[]"), JSONText("[]"), JSONText("[ ]")]).count == 2)
    }

    @Test(
        "The kind is told by the first byte after white space",
        arguments: [
            (" null", .null), ("true", .bool), ("\nfalse", .bool), ("-1", .number), ("0", .number), (#""""#, .string),
            (" [1]", .array), ("{}", .object),
        ] as [(String, JSONText.Kind)]
    )
    func kinds(text: String, kind: JSONText.Kind) throws {
        #expect(try JSONText(text).kind == kind)
    }

    @Test("A member is found by its value, whatever its spelling, and the last of duplicates counts")
    func members() throws {
        let text = try JSONText(#" {"a": 1 , "\u0061b" :[ 2 ],"a":{"a":3}, "\ud800":4,"":null} "#)
        #expect(text[member: "a"]?.string == #"{"a":3}"#)
        #expect(text[member: "a"]?[member: "a"]?.string == "3")
        #expect(text[member: "ab"]?.string == "[ 2 ]")
        #expect(text[member: JSONString(utf16: [0xD800])]?.string == "4")
        #expect(text[member: ""] == .null)
        #expect(text[member: "b"] == nil)
        #expect(try JSONText("[1]")[member: "a"] == nil)
        #expect(try JSONText("{}")[member: "a"] == nil)
    }

    @Test("Elements are the array's values without the white space around them")
    func elements() throws {
        #expect(
            try JSONText(#" [ 1 , [2 ] ,{"a" :3}, "]" ] "#).elements?.map(\.string) == [
                "1", "[2 ]", #"{"a" :3}"#, #""]""#,
            ]
        )
        #expect(try JSONText("[]").elements == [])
        #expect(try JSONText("{}").elements == nil)
        #expect(try JSONText("1").elements == nil)
    }

    @Test("A part outlives the text it was taken from")
    func partsKeepMemory() throws {
        func part() throws -> JSONText? {
            try JSONText(#"{"a":"\#(String(repeating: "kept ", count: 1_000))"}"#)[member: "a"]
        }
        let kept = try #require(try part())
        #expect(kept.utf8Count == 5_002)
        #expect(kept.detached().stringValue?.string.hasSuffix("kept ") == true)
    }

    @Test("A trusted text lives in its owner's memory")
    func trusted() throws {
        let page = Page(#"[{"a":1}]{"b":2}"#)
        let second = JSONText(trusting: page[9..<16], owner: page)
        #expect(second.string == #"{"b":2}"#)
        #expect(second[member: "b"]?.string == "2")
        second.withUTF8Bytes { #expect($0.baseAddress == page[9..<16].baseAddress) }
    }

    @Test("String values are decoded, other kinds have none")
    func stringValues() throws {
        #expect(try JSONText(#" "a\u00e9\n\ud83d\ude00" "#).stringValue == "aé\n😀")
        #expect(try JSONText("1").stringValue == nil)
        #expect(JSONText.string("say \"hi\"\u{0}").string == #""say \"hi\"\u0000""#)
        #expect(JSONText.null.string == "null")
    }

    @Test("A tree keeps numbers as written, the order of members and their duplicates")
    func values() throws {
        let text = try JSONText(#" {"b":[1.0,-0,1e400,true,false,null],"a":"\ud800x","b":{}} "#)
        let expected = JSONValue.object([
            .init(
                name: "b",
                value: .array([.number("1.0"), .number("-0"), .number("1e400"), .bool(true), .bool(false), .null])
            ),
            .init(name: "a", value: .string(JSONString(utf16: [0xD800, 0x78]))),
            .init(name: "b", value: .object([])),
        ])
        #expect(try text.value() == expected)
        #expect(try text.value()[member: "b"] == .object([]))
        #expect(try JSONText("3").value() == .number("3"))
        #expect(try JSONText("[[],[[]],[]]").value() == .array([.array([]), .array([.array([])]), .array([])]))
        #expect(try JSONText("[1,2]").value() != JSONText("[2,1]").value())
        #expect(try JSONText(#"{"a":1}"#).value() != JSONText(#"{"b":1}"#).value())
        #expect(try JSONText("[1]").value() != JSONText("[1,1]").value())
    }

    @Test("A tree holds what its text holds, however many values are open at a time", arguments: [1, 15, 16, 17, 100])
    func wideValue(count: Int) throws {
        let numbers = (0..<count).map { "\($0)" }
        let array = "[" + numbers.joined(separator: ",") + "]"
        let object = "{" + numbers.map { "\"\($0)\":[\($0),{\"x\":\(array)}]" }.joined(separator: ",") + "}"
        let elements = JSONValue.array(numbers.map(JSONValue.number))
        #expect(try JSONText(array).value() == elements)
        let members = numbers.map { number in
            let inner = JSONValue.object([.init(name: "x", value: elements)])
            return JSONValue.Member(name: JSONString(number), value: .array([.number(number), inner]))
        }
        #expect(try JSONText(object).value() == .object(members))
        // What was begun is freed where the text turns out to be no JSON.
        let broken = JSONText(trusting: Array(object.dropLast().utf8))
        #expect(throws: JSONError.self) { try broken.value() }
    }

    @Test("A tree of a thousand levels is built, compared and freed")
    func deepValue() throws {
        let text = try JSONText(String(repeating: #"{"a":["#, count: 500) + String(repeating: "]}", count: 500))
        #expect(try text.value() == text.value())
    }

    @Test("Decodable types are read and Encodable types are written on demand")
    func codable() throws {
        struct Receipt: Codable, Equatable {
            var receiptId: String
            var amounts: [Int]
        }
        let receipt = Receipt(receiptId: "r/456", amounts: [1, 2])
        let text = try JSONText.encoding(receipt)
        #expect(text.string == #"{"amounts":[1,2],"receiptId":"r/456"}"#)
        #expect(try text.decode(Receipt.self) == receipt)
        #expect(try JSONText(" 5 ").decode(Int.self) == 5)
        #expect(throws: DecodingError.self) { try JSONText("5").decode(String.self) }
        #expect(throws: EncodingError.self) { try JSONText.encoding(Double.nan) }
    }
}

/// Stands for a page of results. `@unchecked Sendable`: written once, before anyone sees it.
private final class Page: @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer

    init(_ text: String) {
        memory = .allocate(byteCount: text.utf8.count, alignment: 1)
        memory.copyBytes(from: text.utf8)
    }

    deinit { memory.deallocate() }

    subscript(range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: memory[range])
    }
}
