/// Small events for tests that are not about events.
enum Sample {
    static func event(_ number: Int, in coroutine: String = "root") -> String {
        #"{"type":"yield","coroutineId":"\#(coroutine)","description":{"type":"t","name":"n\#(number)"},"#
            + #""result":{"status":"ok","value":\#(number)}}"#
    }

    static func close(_ coroutine: String = "root", status: String = "ok") -> String {
        let result =
            status == "error" ? #"{"status":"error","error":{"message":"no"}}"# : #"{"status":"\#(status)"}"#
        return #"{"type":"close","coroutineId":"\#(coroutine)","result":\#(result)}"#
    }

    /// NDJSON of events 0, 1, 2 …
    static func events(_ count: Int) -> String { (0..<count).map { event($0) + "\n" }.joined() }

    static func positions(_ range: Range<Int>) -> String { range.map { "{\"position\":\($0)}\n" }.joined() }
}
