import LibPQ

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Measures over one connection: a round trip, a commit, the clocks' difference.
struct Stopwatch {
    let conversation: Conversation

    private static let sampleCount = 15

    struct Clock {
        /// The server's clock minus ours, in seconds.
        var difference: Double
        /// How far that may be off.
        var uncertainty: Double
    }

    /// The median of a statement's times.
    func median(of sql: String, count: Int = sampleCount) async throws(JournalError) -> Duration {
        var times: [Duration] = []
        for _ in 0..<count {
            let start = ContinuousClock.now
            try await conversation.run(sql)
            times.append(ContinuousClock.now - start)
        }
        return times.sorted()[count / 2]
    }

    /// A commit that has to reach the disk, and the standbys where it waits for them: of a message in the log that
    /// belongs to no table and that nobody reads. It changes nothing.
    func commit(_ durability: JournalConfiguration.Durability) async throws(JournalError) -> Duration {
        try await median(
            of: """
                select pg_catalog.set_config('synchronous_commit', '\(durability.rawValue)', true), \
                pg_logical_emit_message(true, 'durable-streams doctor', '')::text
                """
        )
    }

    /// From the answer that took the least time.
    func clock() async throws(JournalError) -> Clock? {
        var best: Clock?
        for _ in 0..<Self.sampleCount {
            let before = Date.now
            let start = ContinuousClock.now
            let answer = try await conversation.run("select extract(epoch from pg_catalog.clock_timestamp())::float8")
            let elapsed = (ContinuousClock.now - start) / .seconds(1)
            guard let theirs = answer.last?.double(row: 0, column: 0) else { return nil }
            let ours = before.timeIntervalSince1970 + elapsed / 2
            if best.map({ elapsed / 2 < $0.uncertainty }) ?? true {
                best = Clock(difference: theirs - ours, uncertainty: elapsed / 2)
            }
        }
        return best
    }
}

extension Duration {
    /// `0.31 ms`, `12 ms`, `1.2 s`.
    var shortText: String {
        let milliseconds = self / .milliseconds(1)
        return switch milliseconds {
        case ..<1: "\((milliseconds * 100).rounded() / 100) ms"
        case ..<10: "\((milliseconds * 10).rounded() / 10) ms"
        case ..<1000: "\(Int(milliseconds.rounded())) ms"
        default: "\((milliseconds / 100).rounded() / 10) s"
        }
    }
}
