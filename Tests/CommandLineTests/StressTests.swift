import Foundation
import Testing

@Suite("stress", .timeLimit(.minutes(10)))
struct StressTests {
    private struct Report: Decodable {
        var seed: UInt64
        var counts: [String: Int]
        var disruptions: [String: Int]
        var violations: [String]
    }

    private static let schemas = "from pg_namespace where nspname like 'durable%'"

    @Test("finds no promise broken while its own connections are cut, and leaves nothing behind")
    func disrupted() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let outcome = try await tool.run(
                "stress",
                "--minutes",
                "0.08",
                "--writers",
                "8",
                "--tails",
                "4",
                "--rate",
                "300",
                "--disrupt",
                "--seed",
                "7",
                "--json"
            )
            #expect(outcome.status == 0, "\(outcome.messages) \(outcome.text)")
            let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output))
            #expect(report.seed == 7)
            #expect(report.violations.isEmpty)
            #expect(report.counts["events acknowledged"] ?? 0 > 0)
            #expect(!report.disruptions.isEmpty)
            #expect(try await ToolDatabase.psql("select count(*) \(Self.schemas)", on: tool) == "0")
        }
    }

    @Test("interrupted it says what came of it so far, and leaves nothing behind", arguments: ["1000", "1"])
    func interrupted(rate: String) async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let process = try await tool.start("stress", "--minutes", "60", "--json", "--rate", rate)
            let schemas = "select count(*) \(Self.schemas)"
            while try await ToolDatabase.psql(schemas, on: tool) == "0" { try Task.checkCancellation() }
            let events = "select coalesce(sum(n_tup_ins), 0) > 0 from pg_stat_user_tables where relname = 'events'"
            while try await ToolDatabase.psql(events, on: tool) != "t" { try Task.checkCancellation() }
            // The row of a claim is none of the events.
            let schema = try await ToolDatabase.psql("select nspname \(Self.schemas)", on: tool)
            let appended = "select exists (select from \"\(schema)\".events where kind <> 'r')"
            while try await ToolDatabase.psql(appended, on: tool) != "t" { try Task.checkCancellation() }
            process.send(SIGINT)
            let outcome = await process.outcome
            #expect(outcome.status == 130, "\(outcome.messages)")
            let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output))
            #expect(report.violations.isEmpty)
            // The only one may be cancelled between its commit and its answer.
            let written = ["events acknowledged", "unknown outcomes: written"].compactMap { report.counts[$0] }
            #expect(written.reduce(0, +) > 0, "\(report.counts)")
            #expect(try await ToolDatabase.psql(schemas, on: tool) == "0")
        }
    }

    @Test("a role that may not create a schema is told so", arguments: [["stress"], ["bench", "append"]])
    func plainRole(arguments: [String]) async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            try await ToolDatabase.withPlainRole(on: tool) { plain in
                let outcome = try await plain.run(arguments)
                #expect(outcome.status == 69)
                #expect(outcome.messages.contains("needs CREATE on the database"), "\(outcome.messages)")
            }
        }
    }

    @Test("what cannot be is a usage error")
    func usage() async throws {
        for arguments in [["--minutes", "0"], ["--writers", "0"], ["--rate", "0"]] {
            #expect(try await Tool().run(["stress"] + arguments).status == 64, "\(arguments)")
        }
    }
}
