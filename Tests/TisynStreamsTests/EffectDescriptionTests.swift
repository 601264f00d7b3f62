import Testing
import TisynStreams

@Suite("Effect descriptions")
struct EffectDescriptionTests {
    @Test(
        "An effect id is split at its first dot",
        arguments: [
            ("a.b.c", "a", "b.c"), ("x", "x", "x"), ("", "", ""), (".b", "", "b"), ("a.", "a", ""), ("..", "", "."),
            ("fraud-detector.fraudCheck", "fraud-detector", "fraudCheck"), ("é.\u{301}x", "é", "\u{301}x"),
        ]
    )
    func split(effectID: String, type: String, name: String) throws {
        let description = try EffectDescription(effectID: effectID, input: nil)
        #expect(description.type == JSONString(type))
        #expect(description.name == JSONString(name))
    }

    @Test("The sha is that of the input's canonical form, whatever its spelling")
    func sha() throws {
        let one = try EffectDescription(effectID: "a.b", input: JSONText(#"{"userId":"u-123","amount":4200}"#))
        let other = try EffectDescription(effectID: "a.b", input: JSONText(#"{ "amount": 42e2, "userId": "u-123" }"#))
        #expect(one.sha == "517c52a608c8b9a5f1d7c0a3ba84921b8bd89d8ca1fc81d9f40bf902a047ade3")
        #expect(one.sha == other.sha)
        #expect(one.input != other.input)
        #expect(!one.isPayloadExempt)
    }

    @Test("An effect without input has null for one")
    func noInput() throws {
        let description = try EffectDescription(effectID: "a.b", input: nil)
        #expect(description.input == .null)
        #expect(description.sha == "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b")
    }

    @Test(
        "stream.subscribe and __config have neither input nor sha",
        arguments: [("stream.subscribe", "stream", "subscribe"), ("__config", "__config", "__config")]
    )
    func exempt(effectID: String, type: String, name: String) throws {
        let description = try EffectDescription(effectID: effectID, input: JSONText("[1]"))
        #expect(description == EffectDescription(type: JSONString(type), name: JSONString(name)))
        #expect(description.isPayloadExempt)
    }

    @Test(
        "Nothing else is exempt",
        arguments: [
            "stream", "stream.subscribe.x", "stream.next", "subscribe", "__config.x", "__config.__config.x", "config",
        ]
    )
    func notExempt(effectID: String) throws {
        #expect(try !EffectDescription(effectID: effectID, input: nil).isPayloadExempt)
    }

    @Test("An input without a canonical form is refused")
    func overflow() {
        #expect(throws: JSONError.self) { try EffectDescription(effectID: "a.b", input: JSONText("[1e400]")) }
    }
}
