import Testing
import TisynStreams

@Suite("JSON syntax (RFC 8259)")
struct JSONSyntaxTests {
    @Test(
        "Every form of value is accepted and kept byte for byte",
        arguments: [
            "null", "true", "false", "0", "-0", "7", "-12", "1234567890", "0.5", "-0.0", "10.25", "1e5", "1E+5",
            "0e-0", "1.5e300", "1e400", "-1E-400", "0.1000000000000000055511151231257827021181583404541015625",
            "100000000000000000000000000000000000001", #""""#, #""a""#, #""\"\\\/\b\f\n\r\t""#, #""\u0000""#,
            #""\ud800""#, #""\uDFFF\uD800""#, #""\ud83d\ude00""#, "\"\u{7F}\"", "\"\u{FEFF}\"", "\"\u{FFFF}\"",
            "[]", "{}", "[ ]", "{ }", "[1]", "[1,2,[3,{}]]", #"{"":0}"#, #"{"a":1,"a":2}"#, #"{"\u0061":[null]}"#,
            " 1", "1 ", "\t\r\n [ 1 , 2 ] \n", "{ \"a\" : 1 , \"b\" : [ ] }", "[\"eight by\",\"eight b\\n\",\"é\"]",
        ]
    )
    func accepts(text: String) throws {
        let json = try JSONText(text)
        #expect(json.utf8 == Array(text.utf8))
        #expect(json.string == text)
        #expect(json.utf8Count == text.utf8.count)
        #expect(try JSONText(utf8: Array(text.utf8)) == json)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let text: String
        let offset: Int
        let reason: String
        var testDescription: String { text }

        init(_ text: String, _ offset: Int, _ reason: String) {
            self.text = text
            self.offset = offset
            self.reason = reason
        }
    }

    @Test(
        "What is not JSON is refused where it goes wrong",
        arguments: [
            Refusal("", 0, "the text ends, expected a value"),
            Refusal("  ", 2, "the text ends, expected a value"),
            Refusal("nul", 3, "the text ends, expected true, false or null"),
            Refusal("nulL", 3, "unexpected 'L', expected true, false or null"),
            Refusal("True", 0, "unexpected 'T', expected a value"),
            Refusal("NaN", 0, "unexpected 'N', expected a value"),
            Refusal("Infinity", 0, "unexpected 'I', expected a value"),
            Refusal("nullx", 4, "unexpected 'x', expected the end of the text"),
            Refusal("1 2", 2, "unexpected '2', expected the end of the text"),
            Refusal("-", 1, "the text ends, expected a digit"),
            Refusal("-a", 1, "unexpected 'a', expected a digit"),
            Refusal("+1", 0, "unexpected '+', expected a value"),
            Refusal("01", 1, "a number with a leading zero"),
            Refusal("-00", 2, "a number with a leading zero"),
            Refusal(".5", 0, "unexpected '.', expected a value"),
            Refusal("1.", 2, "the text ends, expected a digit"),
            Refusal("1.e5", 2, "unexpected 'e', expected a digit"),
            Refusal("1e", 2, "the text ends, expected a digit"),
            Refusal("1e+", 3, "the text ends, expected a digit"),
            Refusal("0x10", 1, "unexpected 'x', expected the end of the text"),
            Refusal("'a'", 0, "unexpected ''', expected a value"),
            Refusal("\"a", 2, "the text ends, expected the end of a string"),
            Refusal("\"abcdefgh", 9, "the text ends, expected the end of a string"),
            Refusal("\"a\\", 3, "the text ends, expected the rest of an escape"),
            Refusal("\"a\\\"", 4, "the text ends, expected the end of a string"),
            Refusal(#""\x41""#, 2, "'x' after a backslash, which is no escape"),
            Refusal(#""\U0041""#, 2, "'U' after a backslash, which is no escape"),
            Refusal(#""\u12G4""#, 5, "unexpected 'G', expected a hexadecimal digit"),
            Refusal(#""\u12""#, 5, "unexpected '\"', expected a hexadecimal digit"),
            Refusal("\"\\u12", 5, "the text ends, expected a hexadecimal digit"),
            Refusal("\"a\nb\"", 2, "byte 0x0A in a string, where it must be escaped"),
            Refusal("\"seven b\u{0}\"", 8, "byte 0x00 in a string, where it must be escaped"),
            Refusal("\"\u{1F}\"", 1, "byte 0x1F in a string, where it must be escaped"),
            Refusal("\u{FEFF}1", 0, "a byte order mark, which JSON text must not begin with"),
            Refusal("\u{C}1", 0, "unexpected byte 0x0C, expected a value"),
            Refusal("\u{A0}1", 0, "unexpected byte 0xC2, expected a value"),
            Refusal("1\u{0}", 1, "unexpected byte 0x00, expected the end of the text"),
            Refusal("[", 1, "the text ends, expected a value"),
            Refusal("[1", 2, "the text ends, expected ',' or ']'"),
            Refusal("[1}", 2, "unexpected '}', expected ',' or ']'"),
            Refusal("[1,]", 3, "unexpected ']', expected a value"),
            Refusal("[,1]", 1, "unexpected ',', expected a value"),
            Refusal("[1 2]", 3, "unexpected '2', expected ',' or ']'"),
            Refusal("]", 0, "unexpected ']', expected a value"),
            Refusal("[]]", 2, "unexpected ']', expected the end of the text"),
            Refusal("{", 1, "the text ends, expected a member name in quotes or '}'"),
            Refusal("{a:1}", 1, "unexpected 'a', expected a member name in quotes or '}'"),
            Refusal("{1:1}", 1, "unexpected '1', expected a member name in quotes or '}'"),
            Refusal(#"{"a"}"#, 4, "unexpected '}', expected ':'"),
            Refusal(#"{"a" 1}"#, 5, "unexpected '1', expected ':'"),
            Refusal(#"{"a":}"#, 5, "unexpected '}', expected a value"),
            Refusal(#"{"a":1"#, 6, "the text ends, expected ',' or '}'"),
            Refusal(#"{"a":1]"#, 6, "unexpected ']', expected ',' or '}'"),
            Refusal(#"{"a":1,}"#, 7, "unexpected '}', expected a member name in quotes"),
            Refusal(#"[1] // no"#, 4, "unexpected '/', expected the end of the text"),
        ]
    )
    func refuses(refusal: Refusal) {
        let error = #expect(throws: JSONError.self) { try JSONText(refusal.text) }
        #expect(error?.offset == refusal.offset)
        #expect(error?.reason == refusal.reason)
        #expect(error?.description == "invalid JSON at byte \(refusal.offset): \(refusal.reason)")
    }

    @Test("A special byte is found at every distance from the start of a string", arguments: 0..<20)
    func alignment(distance: Int) throws {
        let filler = String(repeating: "x", count: distance)
        let offset = distance + 1
        #expect(throws: JSONError.self) { try JSONText("\"\(filler)\u{1}yyyyyyyyyyyyyyyy\"") }
        #expect(try JSONText("\"\(filler)\\nyyyyyyyyyyyyyyyy\"").stringValue?.string == "\(filler)\nyyyyyyyyyyyyyyyy")
        #expect(try JSONText("\"\(filler)é\(filler)\"").stringValue?.string == "\(filler)é\(filler)")
        let error = #expect(throws: JSONError.self) { try JSONText("\"\(filler)\u{1}\"\u{1}") }
        #expect(error?.offset == offset)
    }

    @Test("A thousand levels are accepted, the thousand and first is refused at its bracket")
    func depth() throws {
        let open = String(repeating: "[", count: 1_000)
        let close = String(repeating: "]", count: 1_000)
        #expect(try JSONText(open + close).utf8Count == 2_000)
        let error = #expect(throws: JSONError.self) { try JSONText(open + "[]" + close) }
        #expect(error?.offset == 1_000)
        #expect(error?.reason == "nested deeper than 1000 levels")
    }

    @Test("Mixed nesting is closed by the bracket that opened it, across every word of the nesting stack")
    func mixedNesting() throws {
        for depth in [1, 63, 64, 65, 127, 128, 129, 500, 1_000] {
            let open = (0..<depth).map { $0 % 3 == 0 ? "[" : #"{"k":"# }.joined()
            let close = (0..<depth).reversed().map { $0 % 3 == 0 ? "]" : "}" }
            let text = open + "1" + close.joined()
            #expect(try JSONText(text).string == text)
            var wrong = close
            wrong[depth - 1] = wrong[depth - 1] == "]" ? "}" : "]"
            let error = #expect(throws: JSONError.self) { try JSONText(open + "1" + wrong.joined()) }
            #expect(error?.offset == text.utf8.count - 1)
        }
    }

    @Test("A hundred thousand open brackets are an error like any other")
    func hostileDepth() {
        for bracket in ["[", #"{"a":"#] {
            let error = #expect(throws: JSONError.self) { try JSONText(String(repeating: bracket, count: 100_000)) }
            #expect(error?.offset == 1_000 * bracket.utf8.count)
        }
    }
}
