/// Texts that are almost events: where fuzzing begins, and how it goes on where there is no fuzzer.
package enum EventMutation {
    package static let seeds: [String] = [
        #"{"type":"yield","coroutineId":"root.0","description":{"type":"a","name":"b","input":{"k":[1,-2.5e-7]},"#
            + #""sha":"00"},"result":{"status":"ok","value":true}}"#,
        #"{"type":"close","coroutineId":"root","result":{"status":"cancelled"}}"#,
        #"{"type":"yield","coroutineId":"root","description":{"type":"a","name":"b"},"#
            + #""result":{"status":"error","error":{"message":"m","name":"E"}}}"#,
        #"{"type":"yield","coroutineId":"root","description":{"type":"a","name":"b","input":[{"x":"]}"},""\"],"#
            + #""sha":"00"},"result":{"status":"ok","value":-1.5e3}}"#,
        #" {"type":"yield","coroutineId":"r\u006fot","description":{"type":"a","name":"b\ud800"},"#
            + #""result":{"status":"error","error":{"message":"é😀\n","name":"E"}},"x":[[],{},1e400,null,false]} "#,
        #"{"t\u0079pe":"clos\u0065","type":"yield","type":"close","coroutineId":"\u0000","result":{"status":"ok"}}"#,
        "[[[[[[[[[]]]]]]]]]", #""\ud83d\ude00\udc00""#, "-0.0E+00",
    ]

    /// What a text is made of, for a fuzzer that cannot know.
    package static let fragments: [[UInt8]] =
        [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d", "\\u0000", "null", "true", "false", "-", "0",
            "1e9",
            "1E-400", ".", " ", "\n", "\0", "\u{FEFF}", "é", "😀", "\"type\":", "\"coroutineId\":", "\"result\":{}",
            "\"description\":", "\"status\":\"ok\"", "\"error\":{\"message\":\"\"}", "\"yield\"", "\"close\"",
            "[[[[[[[[",
            "}}}}", "{\"\":",
        ].map { Array($0.utf8) } + [[0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xFF]]

    /// One to four edits: a byte changed, inserted or removed, a range repeated, a fragment put in, the end cut off.
    package static func mutate(_ text: [UInt8], using random: inout some RandomNumberGenerator) -> [UInt8] {
        var text = text
        for _ in 0..<Int.random(in: 1...4, using: &random) where !text.isEmpty {
            let position = text.indices.randomElement(using: &random) ?? 0
            let end = min(text.count, position + Int.random(in: 1...12, using: &random))
            switch Int.random(in: 0..<7, using: &random) {
            case 0: text[position] = UInt8.random(in: 0...255, using: &random)
            case 1: text[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: text.removeSubrange(position..<end)
            case 3: text.insert(contentsOf: text[position..<end], at: position)
            case 4, 5: text.insert(contentsOf: fragments.randomElement(using: &random) ?? [], at: position)
            default: text.removeLast(Int.random(in: 1...text.count, using: &random))
            }
        }
        return text
    }
}
