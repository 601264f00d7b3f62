import StreamFuzz
import Testing
import TisynStreams

/// The scanner's judgement of JSON beside PostgreSQL's, on texts made by mutation: what we send as `json` the server takes.
@Suite("JSON as PostgreSQL sees it", .serialized, .timeLimit(.minutes(10)))
struct JSONDifferenceTests {
    @Test("what the scanner accepts PostgreSQL's json accepts and keeps, and it accepts nothing else")
    func differences() async throws {
        var random = SplitMix(seed: 6)
        var texts: [[UInt8]] = EventMutation.seeds.map { Array($0.utf8) }
        var judged: [(text: String, isJSON: Bool)] = []
        while judged.count < 4_000 {
            let bytes = EventMutation.mutate(texts.randomElement(using: &random) ?? [], using: &random)
            // A text of PostgreSQL's is UTF-8 without NUL.
            guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else { continue }
            let isJSON = (try? JSONText(utf8: bytes)) != nil
            judged.append((text, isJSON))
            if isJSON, texts.count < 200, bytes.count < 500 { texts.append(bytes) }
        }
        #expect(judged.count { $0.isJSON } > 500)
        let all = judged
        try await withTestDatabase(migrated: false) { url in
            try await withSQL(url) { sql in
                // The text as the server gives it back; null where it takes it for no JSON.
                try await sql.run(
                    """
                    create function kept(texts text[]) returns setof text language plpgsql as $$
                    declare t text;
                    begin
                        foreach t in array texts loop
                            begin
                                return next 'kept ' || ((t::json)::text = t);
                            exception when invalid_text_representation or untranslatable_character then
                                return next 'refused';
                            end;
                        end loop;
                    end $$
                    """
                )
                for start in stride(from: 0, to: all.count, by: 500) {
                    let part = all[start..<min(start + 500, all.count)]
                    let array = part.map { $0.text.literal }.joined(separator: ",")
                    let answers = try await sql.run("select kept(array[\(array)]::text[])")
                    #expect(answers.count == part.count)
                    for (judgement, answer) in zip(part, answers) {
                        let expected = judgement.isJSON ? "kept true" : "refused"
                        #expect(answer.first == expected, "\(judgement.text.debugDescription)")
                    }
                }
            }
        }
    }
}
