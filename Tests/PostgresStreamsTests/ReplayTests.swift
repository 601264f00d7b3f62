import PostgresStreams
import Testing
import TisynStreams

/// The index over a stream answers what an index over all its events does.
@Suite("Replaying from the server", .serialized, .timeLimit(.minutes(5)))
struct ReplayTests {
    /// A journal of coroutines on three levels, their yields interleaved, some closed, some twice, some after their parent.
    private func events(_ count: Int, seed: UInt64) throws -> [DurableEvent] {
        var random = SplitMix(seed: seed)
        var ids: [CoroutineID] = [.root]
        return try (0..<count).map { n in
            let value = try JSONText("\(n)")
            let id = ids.randomElement(using: &random) ?? .root
            switch Int.random(in: 0..<10, using: &random) {
            case 0 where id.encoded.split(separator: ".").count < 3:
                let child = id.child(Int.random(in: 0..<4, using: &random))
                ids.append(child)
                return .yield(child, EffectDescription(type: "spawn", name: "\(n)"), .ok(nil))
            case 1: return .close(id, .ok(value))
            case 2: return .close(id, .error(EffectFailure(message: "no \(n)")))
            case 3: return try .yield(id, EffectDescription(effectID: "a.b", input: value), .cancelled)
            default: return try .yield(id, EffectDescription(effectID: "a.b", input: value), .ok(nil))
            }
        }
    }

    private static let unknown: [CoroutineID] = ["nobody", "root.", "", "root.0.0.0.0", "\\u0000"]

    private func compare(_ lazy: StreamReplayIndex, _ whole: ReplayIndex, seed: UInt64) async throws {
        var whole = whole
        var random = SplitMix(seed: seed)
        let ids = whole.coroutineIDs + Self.unknown
        for _ in 0..<400 {
            let id = ids.randomElement(using: &random) ?? .root
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                let entry = try await lazy.peekYield(id)
                #expect(entry == (try whole.peekYield(id)), "peekYield(\(id))")
            case 1:
                lazy.consumeYield(id)
                whole.consumeYield(id)
                #expect(lazy.cursor(of: id) == whole.cursor(of: id))
            case 2:
                let close = try await lazy.close(of: id)
                #expect(close == whole.close(of: id), "close(of: \(id))")
            default:
                let hasClose = try await lazy.hasClose(id)
                #expect(hasClose == whole.hasClose(id))
            }
        }
        let all = try await lazy.coroutineIDs()
        #expect(all == whole.coroutineIDs)
    }

    @Test(
        "every answer is that of an index over all events, whatever is asked first",
        arguments: 1...6 as ClosedRange<UInt64>
    )
    func answers(_ seed: UInt64) async throws {
        try await withTestJournal(.with { $0.pageSize = 40 }) { journal in
            let stream = try journal.stream("s")
            let events = try events(700, seed: seed)
            try await stream.append(contentsOf: events)
            let whole = ReplayIndex(try await stream.readAll())
            #expect(whole.eventCount == 700)
            try await compare(stream.replayIndex(), whole, seed: seed)
            try await compare(stream.replayIndex(), whole, seed: seed + 100)
        }
    }

    @Test("a stream that does not exist answers as an empty one")
    func empty() async throws {
        try await withTestJournal { journal in
            let index = try journal.stream("nowhere").replayIndex()
            try await compare(index, ReplayIndex(), seed: 1)
        }
    }

    @Test("several that ask at once get the same answers, from one reader")
    func askersAtOnce() async throws {
        try await withTestJournal(.with { $0.pageSize = 20 }) { journal in
            let stream = try journal.stream("s")
            try await stream.append(contentsOf: try events(600, seed: 9))
            let whole = ReplayIndex(try await stream.readAll())
            let index = stream.replayIndex()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for asker in 0..<12 {
                    group.addTask {
                        for id in whole.coroutineIDs.shuffled() + Self.unknown {
                            if asker.isMultiple(of: 2) {
                                let entry = try await index.peekYield(id)
                                #expect(entry == (try whole.peekYield(id)))
                            } else {
                                let close = try await index.close(of: id)
                                #expect(close == whole.close(of: id))
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("what is appended later comes in with extend, and not before; cursors stay")
    func extend() async throws {
        try await withTestJournal(.with { $0.pageSize = 20 }) { journal in
            let stream = try journal.stream("s")
            let all = try events(300, seed: 4)
            try await stream.append(contentsOf: Array(all[..<200]))
            let index = stream.replayIndex()
            _ = try await index.peekYield(.root)
            try await stream.append(contentsOf: Array(all[200...]))
            var whole = ReplayIndex(all[..<200])
            let early = try await index.coroutineIDs()
            #expect(early == whole.coroutineIDs)
            for id in whole.coroutineIDs {
                let close = try await index.close(of: id)
                #expect(close == whole.close(of: id))
            }
            index.consumeYield(.root)
            whole.consumeYield(.root)
            try await index.extend()
            whole.extend(with: all[200...])
            try await compare(index, whole, seed: 5)
        }
    }

    @Test("a whole replay over the index runs nothing again, and goes live where the journal ends")
    func replay() async throws {
        try await withTestJournal(.with { $0.pageSize = 16 }) { journal in
            let stream = try journal.stream("s")
            let effects = try (0..<150).map { try EffectDescription(effectID: "step.run", input: JSONText("\($0)")) }
            for (n, effect) in effects.enumerated() {
                try await stream.append(.yield("root.\(n % 3)", effect, .ok(JSONText("\(n)"))))
            }
            let index = stream.replayIndex()
            for (n, effect) in effects.enumerated() {
                let match = try await index.match(effect, in: CoroutineID("root.\(n % 3)"))
                #expect(match == .replay(.ok(try JSONText("\(n)"))))
            }
            let match = try await index.match(effects[0], in: "root.0")
            #expect(match == .live)
        }
    }
}
