import Foundation
import PrivatePostgres
import Testing

@Suite("doctor", .timeLimit(.minutes(10)))
struct DoctorTests {
    private struct Line: Decodable {
        var check: String
        var verdict: String
        var found: String
        var meaning: String?
        var advice: String?
    }

    @Test("a line for each finding, as text and as JSON, and 0 on a server that is well")
    func well() async throws {
        try await ToolDatabase.with { tool in
            let text = try await tool.run("doctor")
            #expect(text.status == 0, "\(text.text)")
            #expect(text.lines.contains { $0.hasPrefix("ok       fsync               on") }, "\(text.text)")
            #expect(text.messages.contains("no problems"))
            let json = try await tool.run("doctor", "--json")
            #expect(json.status == 0)
            let lines = try json.lines.map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
            #expect(lines.count >= 15)
            #expect(lines.allSatisfy { ["ok", "warning"].contains($0.verdict) })
            #expect(lines.allSatisfy { $0.verdict == "ok" || $0.meaning != nil && $0.advice != nil })
        }
    }

    @Test("69 where there is a problem, with what to do: no journal, no server")
    func problems() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let missing = try await tool.run("doctor")
            #expect(missing.status == 69)
            #expect(missing.text.contains("problem  schema"))
            #expect(missing.text.contains("→ durable-streams migrate"))
            #expect(missing.messages.contains("1 problem"))
        }
        let nobody = try await Tool(databaseURL: "postgresql://127.0.0.1:1/x").run("doctor", "--connect-timeout", "1")
        #expect(nobody.status == 69)
        #expect(nobody.text.contains("problem  connection"))
    }

    @Test("of a migration that was altered it says what is so: a journal opens it, migrate refuses")
    func altered() async throws {
        try await ToolDatabase.with { tool in
            try await ToolDatabase.psql(
                "update durable_streams.migrations set sha256 = repeat('0', 64) where version = 1",
                on: tool
            )
            let doctor = try await tool.run("doctor")
            #expect(doctor.status == 69)
            #expect(doctor.text.contains("problem  schema"))
            #expect(doctor.text.contains("not what this version was tested with"), "\(doctor.text)")
            #expect(!doctor.text.contains("does not open it"))
            #expect(try await tool.run("read", "s").status == 0)
            #expect(try await tool.run("migrate").status == 69)
        }
    }

    @Test("interrupted, it finds nothing")
    func interrupted() async throws {
        let server = try SilentHost()
        let tool = Tool(databaseURL: "postgresql://127.0.0.1:\(server.port)/x?sslmode=disable")
        let process = try await tool.start("doctor")
        await server.untilAsked()
        process.send(SIGINT)
        let outcome = await process.outcome
        #expect(outcome.status == 130)
        #expect(outcome.text.isEmpty)
        #expect(outcome.messages.isEmpty, "\(outcome.messages)")
    }

    @Test("a schema name that cannot be one is a usage error")
    func usage() async throws {
        #expect(try await Tool().run("doctor", "--schema", "").status == 64)
    }
}
