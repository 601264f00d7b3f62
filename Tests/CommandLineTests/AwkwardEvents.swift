import StreamStress

/// Tisyn events as nobody would wish for, the same in every run: three levels of coroutines, all kinds of results, JSON
/// that is legal and unpleasant. The last one closes `root`.
///
/// Each is one line of NDJSON, without its line feed.
struct AwkwardEvents: Sequence, IteratorProtocol {
    private var random: SeededGenerator
    private var left: Int
    private let childCount: Int
    private let grandchildCount: Int

    init(count: Int, seed: UInt64 = 1) {
        random = SeededGenerator(seed: seed)
        left = count
        childCount = Swift.max(1, count / 1000)
        grandchildCount = 10
    }

    mutating func next() -> String? {
        guard left > 0 else { return nil }
        left -= 1
        if left == 0 { return #"{"type":"close","coroutineId":"root","result":{"status":"ok","value":{"done":true}}}"# }
        return Int.random(in: 0..<12, using: &random) == 0 ? close() : yield()
    }

    private mutating func yield() -> String {
        let id = coroutine(isClosing: false)
        let description = pick([
            #"{"type":"inventory","name":"reserve","input":\#(value()),"sha":"\#(sha())"}"#,
            #"{ "sha" : "\#(sha())", "input" : \#(value()) , "name":"a.b.c","type":"mail" }"#,
            #"{"type":"stream","name":"subscribe"}"#,
            #"{"type":"__config","name":"__config"}"#,
            #"{"type":"old","name":"0.7.0"}"#,
        ])
        return pick([
            #"{"type":"yield","coroutineId":"\#(id)","description":\#(description),"result":\#(result())}"#,
            #"{"t\u0079pe":"yi\u0065ld","coroutineId":"\#(id)","description":\#(description),"result":\#(result())}"#,
            #"{"result":\#(result()),"description":\#(description),"coroutineId":"\#(id)","type":"yield","later":\#(value())}"#,
            "\t {\"type\" : \"yield\",\t\"coroutineId\":\"\(id)\",\"description\":\(description),\"result\":\(result())} \r",
        ])
    }

    private mutating func close() -> String {
        #"{"type":"close","coroutineId":"\#(coroutine(isClosing: true))","result":\#(result())}"#
    }

    /// Not `root` for a close: that is the last event's.
    private mutating func coroutine(isClosing: Bool) -> String {
        let child = Int.random(in: 0..<childCount, using: &random)
        switch Int.random(in: isClosing ? 1..<20 : 0..<20, using: &random) {
        case 0..<3 where !isClosing: return "root"
        case 0..<8: return "root.\(child)"
        case 8..<19: return "root.\(child).\(Int.random(in: 0..<grandchildCount, using: &random))"
        default: return #"r\u006fot.\#(child).caf\u00e9"#
        }
    }

    private mutating func result() -> String {
        pick([
            #"{"status":"ok","value":\#(value())}"#, #"{"status":"ok"}"#, #"{"status":"ok","value":null}"#,
            #"{"status":"error","error":{"message":"no \"such\" item\n\ud800","name":"NotFound"}}"#,
            #"{"status":"error","error":{"message":""}}"#, #"{"status":"cancelled"}"#,
            #"{ "value":\#(value()), "status" : "ok" }"#,
        ])
    }

    private mutating func value() -> String {
        pick([
            "1e400", "-0", "-0.0e-0", "123456789012345678901234567890.123456789", "[]", "{}", "true", "\"\"",
            #"{"a":1,"a":2,"\u0061":3,"":0}"#, #""\u0000\u001f\ud83d\ude00\udc00""#,
            #""é e\#u{301} 漢字 😀 \#u{2028}\#u{7F}""#,
            #"{"userId":"u-123","amount":4200,"items":[1,2.50,3e+2,{"deep":[[[[null]]]]}]}"#,
            String(repeating: "[", count: 300) + String(repeating: "]", count: 300),
            "\"" + String(repeating: "long ", count: 400) + "\"",
        ])
    }

    private mutating func sha() -> String {
        (0..<4).map { _ in
            let digits = String(UInt64.random(in: .min ... .max, using: &random), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    private mutating func pick(_ choices: [String]) -> String {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }
}
