import Foundation
import Testing

@Suite("migrate", .timeLimit(.minutes(10)))
struct MigrateTests {
    @Test("creates the journal, finds nothing to do the second time, and --check tells the two apart")
    func twice() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let before = try await tool.run("migrate", "--check")
            #expect(before.status == 65)
            #expect(before.messages.contains("lacks migrations 1, 2"))
            let first = try await tool.run("migrate")
            #expect(first.status == 0)
            #expect(first.messages.contains("applied migrations 1, 2"))
            #expect(first.output.isEmpty)
            let second = try await tool.run("migrate")
            #expect(second.status == 0)
            #expect(second.messages.contains("up to date"))
            #expect(try await tool.run("migrate", "--check").status == 0)
        }
    }

    @Test("what --print prints makes the same journal through psql")
    func printed() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let printed = try await Tool().run("migrate", "--print", "--schema", "by \"hand\"")
            #expect(printed.status == 0)
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).sql")
            try Data(printed.output).write(to: file)
            defer { try? FileManager.default.removeItem(at: file) }
            try await ToolDatabase.psql(file: file.path, on: tool)
            let check = try await tool.run("migrate", "--check", "--schema", "by \"hand\"")
            #expect(check.status == 0, "\(check.messages)")
            let append = try await tool.run("append", "s", "--schema", "by \"hand\"", input: Sample.event(0))
            #expect(append.text == "{\"position\":0}\n", "\(append.messages)")
        }
    }

    @Test("a migration that was changed after it was applied: 65 from --check, 69 from migrate")
    func altered() async throws {
        try await ToolDatabase.with { tool in
            try await ToolDatabase.psql(
                "update durable_streams.migrations set sha256 = repeat('0', 64) where version = 1",
                on: tool
            )
            let check = try await tool.run("migrate", "--check")
            #expect(check.status == 65)
            #expect(check.messages.contains("0001_journal"))
            #expect(try await tool.run("migrate").status == 69)
        }
    }

    @Test("a command to be run is said to need --database-url where this one did, without what it holds")
    func sameDatabase() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let url = try #require(tool.databaseURL)
            for arguments in [["read", "s"], ["migrate", "--check"], ["doctor"]] {
                let byVariable = try await tool.run(arguments)
                #expect(!(byVariable.messages + byVariable.text).contains("--database-url"))
                let byOption = try await Tool().run(arguments + ["--database-url", url])
                let text = byOption.messages + byOption.text
                #expect(text.contains("durable-streams migrate"))
                #expect(text.contains("with the same --database-url"), "\(text)")
                #expect(!text.contains(url))
            }
        }
    }

    @Test("a database newer than the binary: 69, with both versions")
    func ahead() async throws {
        try await ToolDatabase.with { tool in
            try await ToolDatabase.psql(
                "insert into durable_streams.migrations (version, name) values (9001, 'new')",
                on: tool
            )
            for arguments in [["migrate", "--check"], ["migrate"], ["read", "s"]] {
                let outcome = try await tool.run(arguments)
                #expect(outcome.status == 69, "\(arguments)")
                #expect(outcome.messages.contains("9001"), "\(outcome.messages)")
            }
        }
    }

    @Test("a subcommand on a database without a journal exits 69 and says to migrate")
    func missing() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let outcome = try await tool.run("read", "s")
            #expect(outcome.status == 69)
            #expect(outcome.messages.contains("durable-streams migrate"))
        }
    }
}
