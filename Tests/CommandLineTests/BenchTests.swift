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

        /// One whose thread is woken too late gets nothing done.
        var isFloor: Bool { name.contains("floor") }
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
            #expect(rows.allSatisfy { $0.appendsPerSecond > 0 || $0.isFloor })
            #expect(rows.allSatisfy { ($0.p50 ?? 0) <= ($0.p99 ?? 0) })
            #expect(
                rows.map(\.name).filter { !$0.hasPrefix("2 ms") } == [
                    "floor (a): INSERT × 1 connection", "1 writer", "1 writer on the journal's thread",
                    "floor (a): INSERT × 4 connections", "floor (b): INSERT of 64",
                    "4 writers on 4 streams", "4 writers on 4 streams, on the journal's thread",
                    "floor (a): 4 connections, 2000/s at random", "4 writers on 4 streams, 2000/s at random",
                    "4 writers on 4 streams, not tailed", "4 writers on 4 streams, all tailed",
                    "floor (b): INSERT of 64, 1 stream", "1 writer, batches of 1000",
                    "1 writer, empty table", "1 writer, stream of 2000 in 20000",
                    "1 process with 4 writers", "2 processes with 2 each",
                    "floor (b): INSERT of 64, 1 stream", "append STREAM < 1500 events",
                ]
            )
            // Those that are held against ours always have one; not all floors get nothing done.
            let others = ["4 writers on 4 streams, not tailed", "1 writer, empty table", "1 process with 4 writers"]
            #expect(rows.allSatisfy { $0.ratio == nil || !$0.isFloor && !others.contains($0.name) })
            let againstOurs = [
                "4 writers on 4 streams, all tailed", "1 writer, stream of 2000 in 20000", "2 processes with 2 each",
            ]
            let withRatio = rows.filter { $0.ratio != nil }.map(\.name)
            #expect(Set(againstOurs).isStrictSubset(of: withRatio), "\(withRatio)")
            try await expectNothingLeft(on: tool)
        }
    }

    @Test("tail: the floor first, ours with its ratios; and nothing is left behind")
    func tail() async throws {
        struct Row: Decodable {
            var name: String
            var startP50: Double
            var acknowledgedP50: Double
            var startP50Ratio: Double?
        }
        try await ToolDatabase.with(migrated: false) { tool in
            let arguments = ["--tails", "2", "--rate", "100", "--seconds", "0.2", "--rounds", "1", "--json"]
            var outcome = try await tool.run(["bench", "tail"] + arguments)
            // Where the machine stands still for as long, its time is over before anything is sent: it is tried again.
            for _ in 0..<3 where outcome.messages.contains("nothing was delivered") {
                outcome = try await tool.run(["bench", "tail"] + arguments)
            }
            let rows: [Row] = try rows(outcome)
            #expect(rows.map(\.name) == ["floor: 2 tails, 100 inserts/s", "2 tails, 100 appends/s"])
            // A delivery may come before its acknowledgement.
            #expect(rows.allSatisfy { $0.startP50 > 0 && $0.acknowledgedP50 <= $0.startP50 })
            #expect(rows.map { $0.startP50Ratio != nil } == [false, true])
            try await expectNothingLeft(on: tool)
        }
    }

    @Test("replay: single questions, and the whole stream beside COPY; and nothing is left behind")
    func replay() async throws {
        struct Row: Decodable {
            var name: String
            var milliseconds: Double?
            var eventsPerSecond: Double?
        }
        try await ToolDatabase.with(migrated: false) { tool in
            let outcome = try await tool.run(
                ["bench", "replay", "--events", "1000", "--coroutines", "4", "--rounds", "1", "--json"]
            )
            let rows: [Row] = try rows(outcome)
            #expect(rows.allSatisfy { $0.milliseconds ?? $0.eventsPerSecond ?? 1 > 0 })
            #expect(rows.contains { $0.name == "first peekYield of root" })
            #expect(rows.contains { $0.name.contains("COPY") && $0.eventsPerSecond != nil })
            try await expectNothingLeft(on: tool)
        }
    }

    @Test("memory: a line for each reading, and whether it stayed flat; and nothing is left behind")
    func memory() async throws {
        struct Reading: Decodable {
            var memoryBytes: Int
            var threads: Int
        }
        struct Verdict: Decodable { var flat: Bool }
        try await ToolDatabase.with(migrated: false) { tool in
            let outcome = try await tool.run(
                ["bench", "memory", "--minutes", "0.05", "--interval", "0.1", "--rate", "50", "--json"]
            )
            let lines = outcome.lines.map { Data($0.utf8) }
            let readings = lines.compactMap { try? JSONDecoder().decode(Reading.self, from: $0) }
            #expect(readings.allSatisfy { $0.memoryBytes > 0 && $0.threads > 0 })
            // A process that has just begun may grow, and on a slow machine there is little to tell it by.
            if let verdict = try? JSONDecoder().decode(Verdict.self, from: lines.last ?? Data()) {
                #expect(outcome.status == (verdict.flat ? 0 : 70), "\(outcome.messages)")
                #expect(readings.count == lines.count - 1)
            } else {
                #expect(outcome.status == 70)
                #expect(outcome.messages.contains("too few readings"), "\(outcome.messages)")
            }
            try await expectNothingLeft(on: tool)
        }
    }

    @Test("replay of a stream that is not there is refused before anything is measured")
    func noStream() async throws {
        try await ToolDatabase.with { tool in
            let outcome = try await tool.run("bench", "replay", "--stream", "nosuch")
            #expect(outcome.status == 64)
            #expect(outcome.output.isEmpty, "\(outcome.text)")
            #expect(outcome.messages.contains("nosuch"))
        }
    }

    @Test("interrupted, it ends without a word on what became of its events")
    func interrupted() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let process = try await tool.start("bench", "tail", "--writers", "16", "--seconds", "3600")
            let events = "select coalesce(sum(n_tup_ins), 0) > 200 from pg_stat_user_tables where relname = 'events'"
            while try await ToolDatabase.psql(events, on: tool) != "t" { try Task.checkCancellation() }
            process.send(SIGINT)
            let outcome = await process.outcome
            #expect(outcome.status == 130)
            #expect(!outcome.messages.contains("written"), "\(outcome.messages)")
        }
    }

    @Test("interrupted while a floor is measured, it ends, and nothing is left behind")
    func interruptedFloor() async throws {
        // Where the machine stands still for longer than the program waits then, that says what it leaves: it is tried again.
        var isOver = false
        for _ in 0..<3 where !isOver {
            isOver = try await ToolDatabase.with(migrated: false) { tool in
                let process = try await tool.start("bench", "append", "--rows", "single", "--seconds", "3600")
                let inserts =
                    "select count(*) > 0 from pg_stat_activity where query like 'insert into%kind, coroutine_id%'"
                while try await ToolDatabase.psql(inserts + Self.here, on: tool) != "t" { try Task.checkCancellation() }
                process.send(SIGINT)
                let outcome = await process.outcome
                #expect(outcome.status == 130)
                if outcome.messages.contains("is left on the server") { return false }
                #expect(outcome.messages.isEmpty, "\(outcome.messages)")
                try await expectNothingLeft(on: tool)
                return true
            }
        }
        #expect(isOver)
    }

    @Test("tail: where the floor's listener loses its connection, it ends with the error")
    func lostListener() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let process = try await tool.start("bench", "tail", "--rate", "10", "--seconds", "3600", "--rounds", "1")
            let terminated = """
                select count(pg_terminate_backend(pid)) > 0 from pg_stat_activity
                where query like 'select position, recorded_at, token, kind,%limit 1000'
                """
            while try await ToolDatabase.psql(terminated + Self.here, on: tool) != "t" { try Task.checkCancellation() }
            let outcome = await process.outcome
            #expect(outcome.status == 69)
            #expect(outcome.messages.contains("floor: "), "\(outcome.messages)")
            try await expectNothingLeft(on: tool)
        }
    }

    @Test("append: processes that it started end with it, even where it is killed")
    func killed() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let process = try await tool.start("bench", "append", "--rows", "processes", "--seconds", "3600")
            let events = "select coalesce(sum(n_tup_ins), 0) > 200 from pg_stat_user_tables where relname = 'events'"
            while try await ToolDatabase.psql(events, on: tool) != "t" { try Task.checkCancellation() }
            process.send(SIGKILL)
            _ = await process.outcome
            let sessions = "select count(*) from pg_stat_activity where pid <> pg_backend_pid()"
            while try await ToolDatabase.psql(sessions + Self.here, on: tool) != "0" { try Task.checkCancellation() }
        }
    }

    private static let here = " and datname = current_database() and backend_type = 'client backend'"

    @Test("a round trip puts the server so far away that floor and ours take at least that long")
    func roundTrip() async throws {
        let outcome = try await Tool().run(
            [
                "bench", "append", "--rows", "single", "paced", "--writers", "4", "--rate", "100", "--round-trip", "40",
                "--seconds", "0.5", "--rounds", "1", "--json",
            ]
        )
        let rows: [AppendRow] = try rows(outcome)
        #expect(rows.count == 5)
        #expect(rows.allSatisfy { ($0.p50 ?? 0) >= 40_000 || $0.isFloor && $0.appendsPerSecond == 0 })
    }

    @Test("what no number can be is null in JSON")
    func notFinite() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            // Too short for the floor to get anything done.
            let outcome = try await tool.run(
                ["bench", "append", "--rows", "single", "--seconds", "1e-9", "--rounds", "1", "--json"]
            )
            let rows: [AppendRow] = try rows(outcome)
            #expect(rows.count == 3)
            #expect(rows.allSatisfy { $0.ratio == nil })
        }
    }

    @Test("memory: a run that is over before its writers have begun finds what it looks for all the same")
    func shortMemory() async throws {
        try await ToolDatabase.with(migrated: false) { tool in
            let outcome = try await tool.run(
                ["bench", "memory", "--minutes", "0.001", "--interval", "0.007", "--rate", "100000"]
            )
            #expect(!outcome.messages.contains("cannot be replayed"), "\(outcome.messages)")
            try await expectNothingLeft(on: tool)
        }
    }

    @Test("what cannot be is a usage error")
    func usage() async throws {
        for arguments in [
            ["append", "--seconds", "0"], ["append", "--rounds", "0"], ["append", "--writers", "1"],
            ["append", "--rows", "nothing"], ["append", "--table-events", "10"], ["append", "--rate", "0"],
            ["append", "--round-trip", "0"], ["append", "--round-trip", "2", "--database-url", "host=/none"],
            ["tail", "--rate", "-1"],
            ["tail", "--polling"], ["tail", "--writers", "2", "--processes", "2"],
            ["tail", "--catch-up", "10", "--writers", "2"], ["tail", "--rate", "0", "--polling", "--catch-up", "10"],
            ["tail-reader", "--prefix", "s", "--tails", "1", "--sample", "0"],
        ] {
            #expect(try await Tool().run(["bench"] + arguments).status == 64, "\(arguments)")
        }
    }
}
