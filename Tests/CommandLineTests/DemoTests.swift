import Foundation
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

    @Test("its worker exits 65 where the stream holds what is no event, and says that another program wrote it")
    func noEvent() async throws {
        try await ToolDatabase.with { tool in
            try await #require(tool.run("append", "s", input: Sample.event(0)).status == 0)
            try await ToolDatabase.psql(
                """
                set session_replication_role = replica;
                update durable_streams.events set event = '{"type":"yield","coroutineId":"root","secret":1}'
                """,
                on: tool
            )
            let ledger = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
            let outcome = try await tool.run("demo-worker", "s", "--run", "1", "--ledger", ledger)
            #expect(outcome.status == 65)
            #expect(outcome.messages.contains("the journal holds what is no event ("), "\(outcome.messages)")
            #expect(outcome.messages.contains("); another program wrote it"), "\(outcome.messages)")
            #expect(!outcome.messages.contains("secret"), "\(outcome.messages)")
            #expect(!FileManager.default.fileExists(atPath: ledger), "an effect was run")
        }
    }
}
