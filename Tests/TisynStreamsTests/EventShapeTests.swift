import Testing
import TisynStreams

@Suite("The shape of events (contract §1)")
struct EventShapeTests {
    struct Refusal: Sendable, CustomTestStringConvertible {
        let text: String
        let path: String
        let offset: Int
        let reason: String
        var testDescription: String { text }

        init(_ text: String, _ path: String, _ offset: Int, _ reason: String) {
            self.text = text
            self.path = path
            self.offset = offset
            self.reason = reason
        }
    }

    static let refusals = [
        Refusal("[1]", "", 0, "expected an object, found an array"),
        Refusal(" null", "", 1, "expected an object, found null"),
        Refusal("{}", "type", 0, "missing, expected a string"),
        Refusal(#"{"Type":"yield"}"#, "type", 0, "missing, expected a string"),
        Refusal(#"{"type":1}"#, "type", 8, "expected a string, found a number"),
        Refusal(#"{"type":"close"}"#, "coroutineId", 0, "missing, expected a string"),
        Refusal(#"{"type":"close","coroutineId":true}"#, "coroutineId", 30, "expected a string, found true or false"),
        Refusal(
            #"{"type":"open","coroutineId":"a"}"#,
            "type",
            8,
            #"expected "yield" or "close", found another string"#
        ),
        Refusal(#" {"type":"close","coroutineId":"a"}"#, "result", 1, "missing, expected an object"),
        Refusal(#"{"type":"yield","coroutineId":"a"}"#, "description", 0, "missing, expected an object"),
        Refusal(
            #"{"type":"yield","coroutineId":"a","description":"b"}"#,
            "description",
            48,
            "expected an object, found a string"
        ),
        Refusal(
            #"{"type":"yield","coroutineId":"a","description":{}}"#,
            "description.type",
            48,
            "missing, expected a string"
        ),
        Refusal(
            #"{"type":"yield","coroutineId":"a","description":{"type":null}}"#,
            "description.type",
            56,
            "expected a string, found null"
        ),
        Refusal(
            #"{"type":"yield","coroutineId":"a","description":{"type":"b"}}"#,
            "description.name",
            48,
            "missing, expected a string"
        ),
        Refusal(
            #"{"type":"yield","coroutineId":"a","description":{"type":"b","name":{}}}"#,
            "description.name",
            67,
            "expected a string, found an object"
        ),
        Refusal(
            #"{"type":"yield","coroutineId":"a","description":{"type":"b","name":"c","sha":1}}"#,
            "description.sha",
            77,
            "expected a string, found a number"
        ),
        Refusal(
            #"{"type":"yield","coroutineId":"a","description":{"type":"b","name":"c"}}"#,
            "result",
            0,
            "missing, expected an object"
        ),
        Refusal(#"{"type":"close","coroutineId":"a","result":[]}"#, "result", 43, "expected an object, found an array"),
        Refusal(#"{"type":"close","coroutineId":"a","result":{}}"#, "result.status", 43, "missing, expected a string"),
        Refusal(
            #"{"type":"close","coroutineId":"a","result":{"status":"OK"}}"#,
            "result.status",
            53,
            #"expected "ok", "error" or "cancelled", found another string"#
        ),
        Refusal(
            #"{"type":"close","coroutineId":"a","result":{"status":"error"}}"#,
            "result.error",
            43,
            "missing, expected an object"
        ),
        Refusal(
            #"{"type":"close","coroutineId":"a","result":{"status":"error","error":"no"}}"#,
            "result.error",
            69,
            "expected an object, found a string"
        ),
        Refusal(
            #"{"type":"close","coroutineId":"a","result":{"status":"error","error":{"name":"E"}}}"#,
            "result.error.message",
            69,
            "missing, expected a string"
        ),
        Refusal(
            #"{"type":"close","coroutineId":"a","result":{"status":"error","error":{"message":"m","name":null}}}"#,
            "result.error.name",
            91,
            "expected a string, found null"
        ),
    ]

    @Test("A text of another shape is refused with what is wrong, where, and what was expected", arguments: refusals)
    func refuses(refusal: Refusal) {
        let error = #expect(throws: EventError.self) { try DurableEvent(refusal.text) }
        #expect(error?.path == refusal.path)
        #expect(error?.offset == refusal.offset)
        #expect(error?.reason == refusal.reason)
        #expect(error?.jsonError == nil)
        let place = refusal.path.isEmpty ? "the text" : refusal.path
        #expect(error?.description == "not an event: \(place) at byte \(refusal.offset): \(refusal.reason)")
    }

    @Test("A text that is already JSON is judged the same", arguments: refusals)
    func refusesJSON(refusal: Refusal) throws {
        let json = try JSONText(refusal.text)
        let error = #expect(throws: EventError.self) { try DurableEvent(json: json) }
        #expect(error?.path == refusal.path)
        #expect(error?.offset == refusal.offset)
    }

    @Test(
        "A text that is not JSON is refused as such, wherever in the event it breaks",
        arguments: [
            ("", 0), (#"{"type":"close","coroutineId":"a","result":{"status":"cancelled"}"#, 65),
            (#"{"type":"close","coroutineId":"a","result":{"status":"cancelled"}} x"#, 67),
            (#"{"type":"close","coroutineId":"a","result":{"status":"cancelled",}}"#, 65),
            (#"{"type":"close","coroutineId":"a","x":01,"result":{"status":"cancelled"}}"#, 39),
            (#"{"type":"close""coroutineId":"a"}"#, 15), (#"{"type":"yield","description":{"input":[1,]}}"#, 42),
            (#"{"type":"yield","result":{"error":{"message":"\q"}}}"#, 47), ("\u{FEFF}{}", 0),
        ]
    )
    func notJSON(text: String, offset: Int) throws {
        let error = try #require(#expect(throws: EventError.self) { try DurableEvent(text) })
        let cause = try #require(error.jsonError)
        #expect(error.offset == offset)
        #expect(error.path == "")
        #expect(error.description == "not an event: \(cause)")
        #expect(throws: cause) { try JSONText(text) }
    }

    @Test("An error shows no value of the event")
    func leaksNothing() {
        let texts = [
            #"{"type":"SECRET","coroutineId":"SECRET"}"#,
            #"{"type":"close","coroutineId":"SECRET","result":"SECRET"}"#,
            #"{"type":"close","coroutineId":"SECRET","result":{"status":"SECRET"}}"#,
            #"{"SECRET":"SECRET" SECRET}"#,
        ]
        for text in texts {
            let error = #expect(throws: EventError.self) { try DurableEvent(text) }
            #expect(error.map { "\($0)".contains("SECRET") } == false)
        }
    }
}
