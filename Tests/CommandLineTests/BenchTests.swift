import Foundation
import Testing

/// That the benchmarks run, say what they promise to, and clean up. What they measure here means nothing.
@Suite("bench", .serialized, .timeLimit(.minutes(10)))
struct BenchTests {
    private struct AppendRow: Decodable {
        var name: String
        var appendsPerSecond: Double
        var p50: Double?
        var p99: Double?
        var ratio: Double?
    }

    private func rows<Row: Decodable>(_ outcome: Tool.Outcome) throws -> [Row] {
        #expect(outcome.status == 0, "\(outcome.messages)")
        return try outcome.lines.map { try JSONDecoder().decode(Row.self, from: Data($0.utf8)) }
    }

    private func expectNothingLeft(on tool: Tool) async throws {
        let left = try await ToolDatabase.psql(
            "select count(*) from pg_namespace where nspname like 'durable%'",
            on: tool
        )
        #expect(left == "0")
    }

    @Test("append: a line for each row, floors first, ours with the ratio to one; and nothing is left behind")
    func append() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let outcome = try await tool.run(
                [
                    "bench", "append", "--writers", "4", "--streams", "4", "--seconds", "0.05", "--rounds", "2",
                    "--table-events", "20000", "--file-events", "1500", "--json",
                ]
            )
            let rows: [AppendRow] = try rows(outcome)
            #expect(rows.allSatisfy { $0.appendsPerSecond > 0 })
            #expect(rows.allSatisfy { ($0.p50 ?? 0) <= ($0.p99 ?? 0) })
            let ours = rows.filter { $0.ratio != nil }
            #expect(
                ours.map(\.name).filter { !$0.hasPrefix("2 ms") } == [
                    "1 writer", "4 writers on 4 streams", "4 writers on 4 streams, all tailed",
                    "1 writer, batches of 1000", "1 writer, stream of 2000 in 20000", "2 processes with 2 each",
                    "append STREAM < 1500 events",
                ]
            )
            try await expectNothingLeft(on: tool)
        }
    }

    @Test("what cannot be is a usage error")
    func usage() async throws {
        for arguments in [
            ["append", "--seconds", "0"], ["append", "--rounds", "0"], ["append", "--writers", "1"],
            ["append", "--rows", "nothing"], ["append", "--table-events", "10"], ["tail", "--rate", "-1"],
            ["tail", "--polling"],
        ] {
            #expect(try await Tool().run(["bench"] + arguments).status == 64, "\(arguments)")
        }
    }
}
