import Testing
import TisynStreams

@Suite("Durable events")
struct DurableEventTests {
    static let sha = "517c52a608c8b9a5f1d7c0a3ba84921b8bd89d8ca1fc81d9f40bf902a047ade3"
    static let yield =
        #"{"type":"yield","coroutineId":"root.0","description":{"type":"fraud-detector","name":"fraudCheck","#
        + #""input":{"userId":"u-123","amount":4200},"sha":"\#(sha)"},"result":{"status":"ok","value":true}}"#
    static let close =
        #"{"type":"close","coroutineId":"root.0","result":{"status":"ok","value":{"receiptId":"r-456"}}}"#

    @Test("A yield is read into its parts")
    func readsYield() throws {
        let event = try DurableEvent(Self.yield)
        #expect(event.kind == .yield)
        #expect(event.coroutineID == "root.0")
        #expect(event.json.string == Self.yield)
        #expect(event.description == Self.yield)
        let entry = try #require(try event.yieldEntry())
        #expect(entry.description.type == "fraud-detector")
        #expect(entry.description.name == "fraudCheck")
        #expect(entry.description.input?.string == #"{"userId":"u-123","amount":4200}"#)
        #expect(entry.description.sha == JSONString(Self.sha))
        #expect(try entry.result == .ok(JSONText("true")))
        #expect(try event.result() == entry.result)
    }

    @Test("A detached one is equal, in memory of its own")
    func detached() throws {
        let event = try DurableEvent(Self.yield)
        let detached = event.detached()
        #expect(detached == event)
        #expect(detached.kind == .yield && detached.coroutineID == "root.0")
        #expect(try detached.yieldEntry() == event.yieldEntry())
        let addresses = [event, detached].map { $0.json.withUTF8Bytes { UInt(bitPattern: $0.baseAddress) } }
        #expect(addresses[0] != addresses[1])
    }

    @Test("A close is read into its parts and has no yield entry")
    func readsClose() throws {
        let event = try DurableEvent(utf8: Self.close.utf8)
        #expect(event.kind == .close)
        #expect(event.coroutineID == "root.0")
        #expect(try event.yieldEntry() == nil)
        #expect(try event.result() == .ok(JSONText(#"{"receiptId":"r-456"}"#)))
    }

    @Test("White space, unknown members and the order of members are kept and do not matter")
    func keepsText() throws {
        let text = """
             { "result" : { "more":[1], "value" : [ 1 , 1e400 ] , "status":"ok" } ,\t"x":{"type":"close"},
              "description":{"input":null,"type":"a","future":{"name":1},"name":"b"},"coroutineId":"c\\u0000d",
              "type" : "yield" }\n
            """
        let event = try DurableEvent(text)
        #expect(event.json.string == text)
        #expect(event.kind == .yield)
        #expect(event.coroutineID.utf16 == [0x63, 0, 0x64])
        let entry = try #require(try event.yieldEntry())
        #expect(entry.description == EffectDescription(type: "a", name: "b", input: .null))
        #expect(try entry.result == .ok(JSONText("[ 1 , 1e400 ]")))
    }

    @Test("Member names and fixed strings may be spelled with escapes")
    func escapedNames() throws {
        let event = try DurableEvent(
            #"{"t\u0079pe":"y\u0069eld","coroutine\u0049d":"\u0072oot","d\u0065scription":{"typ\u0065":"a","n\u0061me":"b","#
                + #""\u0069nput":1,"sh\u0061":"c"},"\u0072esult":{"st\u0061tus":"\u0065rror","\u0065rror":"#
                + #"{"m\u0065ssage":"\ud800","nam\u0065":"E"}}}"#
        )
        #expect(event.kind == .yield)
        #expect(event.coroutineID == .root)
        let entry = try #require(try event.yieldEntry())
        #expect(try entry.description == EffectDescription(type: "a", name: "b", input: JSONText("1"), sha: "c"))
        #expect(entry.result == .error(EffectFailure(message: JSONString(utf16: [0xD800]), name: "E")))
    }

    @Test("Of duplicate members the last counts, even over one of the wrong shape")
    func duplicates() throws {
        let event = try DurableEvent(
            #"{"type":1,"coroutineId":[],"description":{"type":1,"name":2,"name":"b","type":"a","sha":3,"sha":"s"},"#
                + #""description":7,"description":{"name":"n","type":"t"},"result":{"status":"error","error":{"message":"m"}},"#
                + #""result":{"status":"ok","status":"cancelled"},"type":"close","coroutineId":"x","t\u0079pe":"yield"}"#
        )
        #expect(event.kind == .yield)
        #expect(event.coroutineID == "x")
        let entry = try #require(try event.yieldEntry())
        #expect(entry == YieldEntry(description: EffectDescription(type: "t", name: "n"), result: .cancelled))
    }

    @Test(
        "Every form of result is read",
        arguments: [
            (#"{"status":"ok"}"#, .ok(nil)),
            (#"{"status":"ok","value":null}"#, .ok(.null)),
            (#"{"status":"ok","error":"ignored"}"#, .ok(nil)),
            (#"{"status":"error","error":{"message":""}}"#, .error(EffectFailure(message: ""))),
            (
                #"{"status":"error","error":{"name":"TypeError","message":"no\n","stack":[]},"value":1}"#,
                .error(EffectFailure(message: "no\n", name: "TypeError"))
            ),
            (#"{"status":"cancelled"}"#, .cancelled),
        ] as [(String, EffectResult)]
    )
    func results(text: String, result: EffectResult) throws {
        #expect(try DurableEvent(#"{"type":"close","coroutineId":"","result":\#(text)}"#).result() == result)
    }

    @Test("A journal of Tisyn 0.7.0, without input and sha, is read")
    func olderJournal() throws {
        let event = try DurableEvent(
            #"{"type":"yield","coroutineId":"root","description":{"type":"a","name":"b"},"result":{"status":"ok"}}"#
        )
        #expect(try event.yieldEntry()?.description == EffectDescription(type: "a", name: "b"))
    }

    @Test("A close may carry what looks like a broken description")
    func closeIgnoresDescription() throws {
        let event = try DurableEvent(
            #"{"type":"close","coroutineId":"a","description":{"type":0},"result":{"status":"cancelled"}}"#
        )
        #expect(event.kind == .close)
    }

    @Test("Events are equal when their texts are")
    func equality() throws {
        let event = try DurableEvent(Self.close)
        #expect(try event == DurableEvent(json: JSONText(Self.close)))
        #expect(try event != DurableEvent(Self.close + " "))
        #expect(try Set([event, DurableEvent(Self.close), DurableEvent(Self.yield)]).count == 2)
    }

    @Test("An event whose value is nested more than a thousand levels is refused, at a thousand it is read")
    func depth() throws {
        func text(_ levels: Int) -> String {
            let value = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
            return #"{"type":"close","coroutineId":"a","result":{"status":"ok","value":\#(value)}}"#
        }
        let event = try DurableEvent(text(1000))
        #expect(try event.result() == .ok(event.json[member: "result"]?[member: "value"]))
        let value = try JSONText(String(repeating: "[", count: 1000) + String(repeating: "]", count: 1000))
        #expect(try DurableEvent(DurableEvent.close("a", .ok(value)).json.string) == event)
        let error = #expect(throws: EventError.self) { try DurableEvent(text(1001)) }
        #expect(error?.jsonError?.reason == "nested deeper than 1002 levels")
    }

    @Test("A trusted event is not read until asked, and then says what is wrong")
    func trusted() throws {
        let json = try JSONText(#"{"type":"yield"}"#)
        let event = DurableEvent(trusting: json, kind: .yield, coroutineID: "root")
        #expect(event.coroutineID == "root")
        #expect(throws: EventError.self) { try event.yieldEntry() }
        #expect(throws: EventError.self) { try event.result() }
    }
}
