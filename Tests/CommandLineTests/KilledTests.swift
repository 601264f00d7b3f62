import Foundation
import StreamHistory
import StreamStress
import Testing

/// A client that is killed with SIGKILL at random, again and again; and the history of it.
@Suite("A killed client", .timeLimit(.minutes(10)))
struct KilledTests {
    private static let rounds = 12
    private static let eventsPerRound = 400

    @Test("what it was told is durable is there, once and in its place; what it was not told is there once at most")
    func killed() async throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        try await ToolDatabase.with { tool in
            var history = History()
            for round in 0..<Self.rounds {
                // Each as the only writer, which fences what may still be under way of the one before.
                let process = try await tool.start("append", "s", "--claim")
                let ids = (0..<Self.eventsPerRound).map { EventID(writer: round, number: $0) }
                let appends = ids.map { history.begin($0, to: 0) }
                process.write(Array(ids.map { Sample.event(0, in: $0.description) + "\n" }.joined().utf8))
                var left = Int.random(in: 0..<Self.eventsPerRound, using: &random)
                if left == 0 { process.send(SIGKILL) }
                var answered = 0
                for await line in process.lines {
                    let digits = line.filter(\.isNumber)
                    // A line may be cut off in its middle.
                    guard line.hasSuffix("}"), let position = Int(digits) else { continue }
                    history.acknowledge(appends[answered], at: position)
                    answered += 1
                    left -= 1
                    if left == 0 { process.send(SIGKILL) }
                }
                #expect(await process.outcome.status == -SIGKILL, "seed \(seed)")
            }
            let read = try await tool.run("read", "s")
            history.end(
                0,
                with: read.lines.enumerated().map { ($0.offset, EventID(line: $0.element)) }
            )
            let violations = history.violations()
            #expect(violations.isEmpty, "seed \(seed): \(violations)")
            #expect(try await tool.run("verify", "s").status == 0)
        }
    }
}
