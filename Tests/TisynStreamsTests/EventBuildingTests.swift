import Testing
import TisynStreams

@Suite("Building events")
struct EventBuildingTests {
    @Test("A built yield has the contract's member order and no white space")
    func builtYield() throws {
        let input = try JSONText(#"{"userId":"u-123","amount":4200}"#)
        let effect = try EffectDescription(effectID: "fraud-detector.fraudCheck", input: input)
        let event = try DurableEvent.yield(.root.child(0), effect, .ok(JSONText("true")))
        #expect(event.json.string == DurableEventTests.yield)
        #expect(event.kind == .yield)
        #expect(event.coroutineID == "root.0")
    }

    @Test("A built close has the contract's member order and no white space")
    func builtClose() throws {
        let event = try DurableEvent.close("root.0", .ok(JSONText(#"{"receiptId":"r-456"}"#)))
        #expect(event.json.string == DurableEventTests.close)
        #expect(event.kind == .close)
    }

    @Test(
        "Every result is written",
        arguments: [
            (.ok(nil), #"{"status":"ok"}"#),
            (.ok(.null), #"{"status":"ok","value":null}"#),
            (.error(EffectFailure(message: "m")), #"{"status":"error","error":{"message":"m"}}"#),
            (
                .error(EffectFailure(message: "a\"b", name: "E")),
                #"{"status":"error","error":{"message":"a\"b","name":"E"}}"#
            ),
            (.cancelled, #"{"status":"cancelled"}"#),
        ] as [(EffectResult, String)]
    )
    func results(result: EffectResult, text: String) throws {
        let event = DurableEvent.close("c", result)
        #expect(event.json.string == #"{"type":"close","coroutineId":"c","result":\#(text)}"#)
        #expect(try event.result() == result)
    }

    @Test("What was built is read back the same, strange strings included")
    func roundTrip() throws {
        let strange = JSONString(utf16: [0, 0x22, 0x5C, 0xD800, 0x0A, 0xE9, 0xD83D, 0xDE00])
        let description = try EffectDescription(type: strange, name: "", input: JSONText(" [ 1e400 ] "), sha: strange)
        let event = DurableEvent.yield(strange, description, .error(EffectFailure(message: strange, name: strange)))
        let read = try DurableEvent(utf8: event.json.utf8)
        #expect(read == event)
        #expect(read.coroutineID == strange)
        let entry = try #require(try read.yieldEntry())
        #expect(entry.description.type == strange)
        #expect(entry.description.sha == strange)
        #expect(entry.description.input?.string == "[ 1e400 ]")
        #expect(entry.result == .error(EffectFailure(message: strange, name: strange)))
    }

    @Test("Values of a thousand levels fit into an event that this process built")
    func deepValues() throws {
        let deep = try JSONText(String(repeating: "[", count: 1_000) + String(repeating: "]", count: 1_000))
        let event = DurableEvent.yield("c", EffectDescription(type: "a", name: "b", input: deep), .ok(deep))
        let entry = try #require(try event.yieldEntry())
        #expect(entry.description.input == deep)
        #expect(entry.result == .ok(deep))
        #expect(try event.json.canonical().utf8.count == event.json.utf8Count)
    }
}
