import Testing
import TisynStreams

@Suite("Canonical JSON (RFC 8785)")
struct CanonicalJSONTests {
    @Test("The RFC's sample of section 3.2.2 becomes the bytes of section 3.2.4")
    func sample() throws {
        let text = try JSONText(
            #"""
            {
              "numbers": [333333333.33333329, 1E30, 4.50,
                          2e-3, 0.000000000000000000000000001],
              "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
              "literals": [null, true, false]
            }
            """#
        )
        let expected: [UInt8] = [
            0x7B, 0x22, 0x6C, 0x69, 0x74, 0x65, 0x72, 0x61, 0x6C, 0x73, 0x22, 0x3A, 0x5B, 0x6E, 0x75, 0x6C, 0x6C, 0x2C,
            0x74, 0x72, 0x75, 0x65, 0x2C, 0x66, 0x61, 0x6C, 0x73, 0x65, 0x5D, 0x2C, 0x22, 0x6E, 0x75, 0x6D, 0x62, 0x65,
            0x72, 0x73, 0x22, 0x3A, 0x5B, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x33, 0x2E, 0x33, 0x33, 0x33,
            0x33, 0x33, 0x33, 0x33, 0x2C, 0x31, 0x65, 0x2B, 0x33, 0x30, 0x2C, 0x34, 0x2E, 0x35, 0x2C, 0x30, 0x2E, 0x30,
            0x30, 0x32, 0x2C, 0x31, 0x65, 0x2D, 0x32, 0x37, 0x5D, 0x2C, 0x22, 0x73, 0x74, 0x72, 0x69, 0x6E, 0x67, 0x22,
            0x3A, 0x22, 0xE2, 0x82, 0xAC, 0x24, 0x5C, 0x75, 0x30, 0x30, 0x30, 0x66, 0x5C, 0x6E, 0x41, 0x27, 0x42, 0x5C,
            0x22, 0x5C, 0x5C, 0x5C, 0x5C, 0x5C, 0x22, 0x2F, 0x22, 0x7D,
        ]
        #expect(Array(try text.canonical().utf8) == expected)
    }

    @Test("Keys are sorted by UTF-16 code units, as in the RFC's sample of section 3.2.3")
    func keyOrder() throws {
        let text = try JSONText(
            #"""
            {
              "\u20ac": "Euro Sign",
              "\r": "Carriage Return",
              "\ufb33": "Hebrew Letter Dalet With Dagesh",
              "1": "One",
              "\ud83d\ude00": "Emoji: Grinning Face",
              "\u0080": "Control",
              "\u00f6": "Latin Small Letter O With Diaeresis"
            }
            """#
        )
        let values = try JSONText(text.canonical()).value()
        guard case .object(let members) = values else {
            Issue.record("not an object")
            return
        }
        let expected = ["\r", "1", "\u{80}", "\u{F6}", "\u{20AC}", "\u{1F600}", "\u{FB33}"].map(JSONString.init(_:))
        #expect(members.map(\.name) == expected)
    }

    /// RFC 8785 Appendix B: the bits of a double and its text.
    static let numbers: [(UInt64, String)] = [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7FEF_FFFF_FFFF_FFFF, "1.7976931348623157e+308"),
        (0xFFEF_FFFF_FFFF_FFFF, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xC340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44B5_2D02_C7E1_4AF5, "9.999999999999997e+22"),
        (0x44B5_2D02_C7E1_4AF6, "1e+23"),
        (0x44B5_2D02_C7E1_4AF7, "1.0000000000000001e+23"),
        (0x444B_1AE4_D6E2_EF4E, "999999999999999700000"),
        (0x444B_1AE4_D6E2_EF4F, "999999999999999900000"),
        (0x444B_1AE4_D6E2_EF50, "1e+21"),
        (0x3EB0_C6F7_A0B5_ED8C, "9.999999999999997e-7"),
        (0x3EB0_C6F7_A0B5_ED8D, "0.000001"),
        (0x41B3_DE43_5555_5553, "333333333.3333332"),
        (0x41B3_DE43_5555_5554, "333333333.33333325"),
        (0x41B3_DE43_5555_5555, "333333333.3333333"),
        (0x41B3_DE43_5555_5556, "333333333.3333334"),
        (0x41B3_DE43_5555_5557, "333333333.33333343"),
        (0xBECB_F647_612F_3696, "-0.0000033333333333333333"),
        (0x4314_3FF3_C1CB_0959, "1424953923781206.2"),
    ]

    @Test("Numbers have the form of the RFC's Appendix B", arguments: numbers)
    func appendixB(bits: UInt64, text: String) throws {
        // Swift's spelling of the double is another JSON spelling of the same number.
        #expect(try JSONText(Double(bitPattern: bits).description).canonical() == text)
        #expect(try JSONText(text).canonical() == text)
    }

    @Test(
        "Numbers are read as doubles and written in ECMAScript's form",
        arguments: [
            ("1.0", "1"), ("-0", "0"), ("-0.0e5", "0"), ("1e21", "1e+21"), ("1E20", "100000000000000000000"),
            ("123456789012345680000", "123456789012345680000"), ("123456789012345678901", "123456789012345680000"),
            ("1e-6", "0.000001"), ("1e-7", "1e-7"), ("12.5e-8", "1.25e-7"), ("-1.50", "-1.5"), ("0.1e1", "1"),
            ("999999999999999", "999999999999999"), ("9007199254740993", "9007199254740992"), ("1e-400", "0"),
            ("-1e-400", "0"), ("100", "100"), ("-100", "-100"), ("1.7976931348623158e308", "1.7976931348623157e+308"),
            ("2.2250738585072014e-308", "2.2250738585072014e-308"), ("0.30000000000000004", "0.30000000000000004"),
        ]
    )
    func numberForms(text: String, canonical: String) throws {
        #expect(try JSONText(text).canonical() == canonical)
    }

    @Test(
        "A number beyond the doubles has no canonical form",
        arguments: ["1e400", "-1e309", "1" + String(repeating: "0", count: 400)]
    )
    func overflow(number: String) throws {
        let error = #expect(throws: JSONError.self) { try JSONText(#"{"a": [1, \#(number)]}"#).canonical() }
        #expect(error?.offset == 10)
        #expect(
            error?.description
                == "no canonical JSON for the number at byte 10: beyond the range of an IEEE 754 double"
        )
    }

    @Test(
        "White space goes, escapes are normalized, keys are sorted at every level, of duplicates the last stays",
        arguments: [
            (" [ 1 , { } , [ ] ] ", "[1,{},[]]"),
            (#"{"b":1,"a":{"d":[{"z":1,"y":2}],"c":3}}"#, #"{"a":{"c":3,"d":[{"y":2,"z":1}]},"b":1}"#),
            (#"{"a":1,"b":2,"a":3}"#, #"{"a":3,"b":2}"#),
            (#"{"a":1,"\u0061":[2]}"#, #"{"a":[2]}"#),
            (#"{"aa":1,"a":2,"":3,"A":4}"#, #"{"":3,"A":4,"a":2,"aa":1}"#),
            (#""\u0041\/\u001F\b\f\u007f""#, "\"A/\\u001f\\b\\f\u{7F}\""),
            (#""\uD800\u0000""#, #""\ud800\u0000""#),
            (
                #"{"\udc00":1,"\ud800":2,"\ue000":3,"\ud83d\ude00":4}"#,
                "{\"\\ud800\":2,\"😀\":4,\"\\udc00\":1,\"\u{E000}\":3}"
            ),
        ]
    )
    func structure(text: String, canonical: String) throws {
        #expect(try JSONText(text).canonical() == canonical)
        #expect(try JSONText(canonical).canonical() == canonical)
    }

    @Test("A thousand levels are canonicalized")
    func depth() throws {
        let text = String(repeating: #"{"a":["#, count: 500) + String(repeating: "]}", count: 500)
        #expect(try JSONText(" " + text).canonical() == text)
    }

    /// The digests are those that Node's crypto module gives for the canonical text.
    @Test(
        "The payload sha is SHA-256 of the canonical form in lower-case hexadecimal digits",
        arguments: [
            ("null", "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b"),
            (" [ ] ", "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"),
            ("{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
            (#""""#, "12ae32cb1ec02d01eda3581b127c1fee3b0dc53572ed6baf239721a03d82e126"),
            (#""\uD800""#, "8c0c59dd0d275aadcd462a5fe12eb352cbdfeaf961eae4f85a4660521df7d2f5"),
            (#""\u20ac""#, "33ab3f1aaa9b5b06e754decf4e24302477eac3714490bbb587a4b56903c0090c"),
            ("[1.0, 2, 3e0]", "a615eeaee21de5179de080de8c3052c8da901138406ba71c38c032845f7d54f4"),
            (
                #"{ "userId": "u-123", "amount": 4200 }"#,
                "517c52a608c8b9a5f1d7c0a3ba84921b8bd89d8ca1fc81d9f40bf902a047ade3"
            ),
        ]
    )
    func payloadSHA(text: String, sha: String) throws {
        #expect(try JSONText(text).payloadSHA() == sha)
    }
}
