import StreamFuzz
import Testing

/// A short part of what `Scripts/fuzz` does for long.
@Suite("Fuzzed events")
struct EventFuzzTests {
    @Test(
        "The scanner accepts what the grammar does, the decoder what has the shape, and all readings agree",
        arguments: 0..<8
    )
    func laws(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        // What is an event is edited further, more often than not: most edits leave none.
        var events = EventMutation.seeds.prefix(6).map { Array($0.utf8) }
        let seeds = EventMutation.seeds.map { Array($0.utf8) }
        var verdicts: [EventFuzz.Verdict: Int] = [:]
        for _ in 0..<2_000 {
            let texts = Bool.random(using: &random) ? events : seeds
            let text = EventMutation.mutate(texts.randomElement(using: &random) ?? [], using: &random)
            let verdict = try EventFuzz.check(text)
            verdicts[verdict, default: 0] += 1
            if verdict == .event, events.count < 100, text.count < 1_000 { events.append(text) }
        }
        // The loop would prove nothing if every text were refused.
        for verdict in [EventFuzz.Verdict.notJSON, .json, .event] {
            #expect(verdicts[verdict] ?? 0 > 10, "\(verdicts)")
        }
    }

    @Test(
        "The reference knows the grammar",
        arguments: [
            ("[1,2.5e-3,{\"a\":null}]", true), (" \"\\u00e9\\ud800\" ", true), ("-0", true), ("01", false),
            ("1.", false),
            ("[1,]", false), ("{\"a\"}", false), ("\"\t\"", false), ("\"\\x\"", false), ("", false), ("nul", false),
            ("1 2", false), ("\u{FEFF}1", false), ("[", false),
        ]
    )
    func reference(text: String, isJSON: Bool) { #expect(ReferenceJSON.accepts(Array(text.utf8)) == isJSON) }

    @Test("The reference counts levels")
    func referenceDepth() {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        #expect(ReferenceJSON.accepts(nested(1_000)))
        #expect(!ReferenceJSON.accepts(nested(1_001)))
    }
}
