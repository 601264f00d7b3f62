import PostgresStreams
import Testing
import TisynStreams

/// Both forms of the index against a plain model, on journals made by chance. A failure names its seed.
@Suite("Replay, by chance", .serialized, .timeLimit(.minutes(10)))
struct ReplayPropertyTests {
    /// How the journal reads.
    struct Reading: Sendable, CustomTestStringConvertible {
        var pageSize: Int
        var cacheBytes: Int
        var seeds: Range<UInt64>

        var testDescription: String { "pages of \(pageSize), cache of \(cacheBytes) bytes" }
    }

    private static let readings = [
        Reading(pageSize: 1000, cacheBytes: 32 << 20, seeds: 0..<20),
        Reading(pageSize: 16, cacheBytes: 100_000, seeds: 20..<40),
        Reading(pageSize: 7, cacheBytes: 0, seeds: 40..<50),
        Reading(pageSize: 300, cacheBytes: 400_000, seeds: 50..<60),
    ]

    private static func count(_ random: inout SplitMix) -> Int {
        // Some beyond the position from which on the server is asked for last yields.
        Int.random(in: 0..<8, using: &random) == 0
            ? Int.random(in: 4_000...5_500, using: &random) : Int.random(in: 0...400, using: &random)
    }

    @Test("the index over events in hand answers as the model", arguments: 0..<100 as Range<UInt64>)
    func inHand(_ seed: UInt64) async throws {
        var random = SplitMix(seed: seed &+ 1_000_000)
        var journal = try RandomJournal(seed: seed, count: Self.count(&random))
        let index = ReplayInHand(journal.events)
        var replay = ReplayComparison(index, journal.events)
        for _ in 0..<3 {
            try await replay.ask(200, of: journal.ids + RandomJournal.unknown, random: &random)
            let new = try journal.grow(by: Int.random(in: 0...50, using: &random))
            index.extend(new)
            replay.model.extend(new)
        }
        try await replay.ask(200, of: journal.ids + RandomJournal.unknown, random: &random)
        #expect(replay.questions == 800)
    }

    /// Two replays of one stream, asked in turn, while the stream grows: by our own appends, by another process's.
    @Test("the stream's lazy index answers as the model", arguments: readings)
    func fromStream(_ reading: Reading) async throws {
        try await withTestDatabase { url in
            var configuration = JournalConfiguration.quiet(url)
            configuration.pageSize = reading.pageSize
            configuration.replayCacheBytes = reading.cacheBytes
            try await withJournal(configuration) { [configuration] ours in
                try await withJournal(configuration) { theirs in
                    for seed in reading.seeds {
                        // Says the seed where something is thrown.
                        do {
                            try await Self.replay(seed, ours, theirs)
                        } catch {
                            Issue.record(error, "seed \(seed), \(reading.testDescription)")
                        }
                    }
                }
            }
        }
    }

    private static func replay(_ seed: UInt64, _ ours: Journal, _ theirs: Journal) async throws {
        var random = SplitMix(seed: seed &+ 2_000_000)
        var journal = try RandomJournal(seed: seed, count: count(&random))
        let stream = try ours.stream("seed/\(seed)")
        let other = try theirs.stream("seed/\(seed)")
        if !journal.events.isEmpty { try await other.append(contentsOf: journal.events) }
        let indices = [stream.replayIndex(), stream.replayIndex()]
        var replays = indices.map { ReplayComparison(ReplayFromStream(index: $0), journal.events) }
        let unknown = RandomJournal.unknown
        for round in 0..<5 {
            for number in replays.indices {
                try await replays[number].ask(40, of: journal.ids + unknown, random: &random)
            }
            let isOurs = round.isMultiple(of: 2)
            let new = try journal.grow(by: Int.random(in: 1...30, using: &random), ours: isOurs)
            if isOurs {
                // Some at a time, some one by one.
                let together = new.prefix(Int.random(in: 0...new.count, using: &random))
                try await stream.append(contentsOf: Array(together))
                for event in new.dropFirst(together.count) { try await stream.append(event) }
                for number in replays.indices { replays[number].model.append(new) }
            } else {
                try await other.append(contentsOf: new)
                try await indices[round % 4 == 1 ? 0 : 1].extend()
                for number in replays.indices { replays[number].model.extend(new) }
            }
        }
        for number in replays.indices {
            try await replays[number].ask(40, of: journal.ids + unknown, random: &random)
        }
        let all = try await indices[0].coroutines()
        let whole = ReplayIndex(journal.events)
        #expect(all.map(\.id) == whole.coroutineIDs, "seed \(seed)")
        #expect(all.map(\.yieldCount) == whole.coroutineIDs.map { whole.yieldCount(of: $0) }, "seed \(seed)")
        #expect(indices[0].progress == (journal.events.count, journal.events.count), "seed \(seed)")
    }
}
