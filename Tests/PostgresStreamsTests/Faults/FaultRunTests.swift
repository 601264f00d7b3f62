import Foundation
import PrivatePostgres
import StreamHistory
import StreamStress
import Testing

/// The fault suite: writers, tails, claims and cancellations, while connections and server are attacked by chance, and the
/// history of it checked. What is done, and in which order, follows from a seed.
///
/// Short as part of the tests: fixed seeds, and one by chance. `Scripts/faults` sets `DURABLE_STREAMS_FAULT_MINUTES` and
/// runs it long, with `DURABLE_STREAMS_FAULT_SEED` from a seed on; the report goes to `DURABLE_STREAMS_FAULT_REPORT`.
@Suite(
    "The fault suite",
    .serialized,
    .timeLimit(.minutes(24 * 60)),
    .enabled(if: TestServer.isPrivate, "stops its server")
)
struct FaultRunTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let minutes = environment["DURABLE_STREAMS_FAULT_MINUTES"].flatMap(Double.init)
    private static let firstSeed = environment["DURABLE_STREAMS_FAULT_SEED"].flatMap(UInt64.init)

    struct Round: Sendable, CustomTestStringConvertible {
        var kind: FaultScene.Kind
        var seed: UInt64

        var testDescription: String { "\(kind), seed \(seed)" }
    }

    @discardableResult
    private func run(_ round: Round, _ duration: Duration) async throws -> StressReport {
        try await FaultScene.with(seed: round.seed) { scene in
            let report = try await scene.run(round.kind, duration)
            #expect(
                report.isClean,
                """
                \(round.testDescription)
                \(report.violations.map { "  \($0)" }.joined(separator: "\n"))
                what happened last
                \(report.trace.suffix(60).map { "  \($0)" }.joined(separator: "\n"))
                on the wire
                \(scene.proxy.chaos?.trace.suffix(100).map { "  \($0)" }.joined(separator: "\n") ?? "")
                """
            )
            #expect(report.events > 0, "\(round.testDescription)")
            // The journals were open all the time.
            #expect(!report.counts.keys.contains { $0.contains("closed") }, "\(round.testDescription) \(report.counts)")
            return report.adding(scene.proxy.chaos)
        }
    }

    @Test(
        "no promise is broken, whatever happens to connections and server",
        .enabled(if: minutes == nil),
        arguments: FaultScene.Kind.allCases.map { Round(kind: $0, seed: 1) }
            + [Round(kind: .wire, seed: 2), Round(kind: .everything, seed: .random(in: .min ... .max))]
    )
    func short(_ round: Round) async throws { try await run(round, .seconds(6)) }

    @Test("no promise is broken, for as long as was asked for", .enabled(if: minutes != nil))
    func long() async throws {
        let end = ContinuousClock.now + .seconds((Self.minutes ?? 0) * 60)
        var seed = Self.firstSeed ?? .random(in: .min ... .max)
        var summary = FaultSummary()
        while ContinuousClock.now < end {
            for kind in FaultScene.Kind.allCases where ContinuousClock.now < end {
                let left = max(.seconds(5), min(.seconds(20), end - .now))
                summary.add(Round(kind: kind, seed: seed), try await run(Round(kind: kind, seed: seed), left))
                // After each round, so that what has been done is known however it ends.
                try summary.write(to: Self.environment["DURABLE_STREAMS_FAULT_REPORT"])
            }
            seed &+= 1
        }
    }
}

/// What a long run did, all rounds together.
private struct FaultSummary {
    private var rounds: [String] = []
    private var counts: [String: Int] = [:]
    private var faults: [String: Int] = [:]
    private var longest: [String: (time: Duration, round: String)] = [:]
    private var violations: [String] = []
    private var seconds = 0.0

    mutating func add(_ round: FaultRunTests.Round, _ report: StressReport) {
        rounds.append(round.testDescription)
        counts.merge(report.counts, uniquingKeysWith: +)
        faults.merge(report.disruptions, uniquingKeysWith: +)
        for (name, time) in report.longest where time > longest[name]?.time ?? .zero {
            longest[name] = (time, round.testDescription)
        }
        violations += report.violations.map { "\(round.testDescription): \($0)" }
        seconds += report.duration / .seconds(1)
    }

    /// The ten longest, so that a run which hangs in one place shows which.
    private var delays: String {
        longest.sorted { $0.value.time > $1.value.time }.prefix(10)
            .map { "  \(($0.value.time / .milliseconds(100)).rounded() / 10) s\t\($0.key) (\($0.value.round))\n" }
            .joined()
    }

    func write(to path: String?) throws {
        guard let path else { return }
        func table(_ counts: [String: Int]) -> String {
            counts.sorted { $0.key < $1.key }.map { "  \($0.value)\t\($0.key)\n" }.joined()
        }
        let text = """
            \(rounds.count) rounds in \(Int(seconds)) s, from \(rounds.first ?? "") to \(rounds.last ?? "")
            what happened
            \(table(counts))what was done
            \(table(faults))what took longest
            \(delays)promises broken: \(violations.count)
            \(violations.map { "  \($0)\n" }.joined())
            """
        try text.write(toFile: path, atomically: true, encoding: .utf8)
    }
}

extension StressReport {
    /// With the faults on the wire among what was done.
    fileprivate func adding(_ chaos: WireChaos?) -> StressReport {
        var report = self
        for (fault, count) in chaos?.counts ?? [:] { report.disruptions["on the wire: \(fault)"] = count }
        return report
    }
}
