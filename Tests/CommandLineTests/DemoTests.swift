import Testing

@Suite("demo", .timeLimit(.minutes(10)))
struct DemoTests {
    @Test("kills a worker, replays what it recorded, and all its checks hold")
    func demo() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let outcome = try await tool.run("demo")
            #expect(outcome.status == 0, "\(outcome.text)\n\(outcome.messages)")
            #expect(outcome.text.contains("replayed"))
            #expect(outcome.text.contains("0 effects ran twice whose event was recorded"))
            #expect(!outcome.text.contains("FAIL"))
            #expect(!outcome.text.contains("\u{1B}"), "colours, though there is no terminal")
            let streams = try await tool.run("list", "--prefix", "demo/", "--status", "closed").lines
            #expect(streams.count == 1)
        }
    }
}
