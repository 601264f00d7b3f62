import TisynStreams

/// A journal as chance makes it: a tree of coroutines whose yields interleave, some closed, some twice, some that go on
/// after their close, and ids of every kind.
struct RandomJournal {
    private(set) var events: [DurableEvent] = []
    private(set) var ids: [CoroutineID] = [.root]
    private var random: SplitMix

    /// Ids that are in no journal made here.
    static let unknown: [CoroutineID] = ["nobody", "root.", "ROOT", "root.0.0.0.0", CoroutineID(encoded: "\\u0001")]

    private static let odd: [CoroutineID] = [
        "", "é", "e\u{301}", "🜁.1", CoroutineID(encoded: "\\u0000"), CoroutineID(encoded: "\\ud800"), "a\"b\\c",
        CoroutineID(String(repeating: "long.", count: 700)),
    ]

    /// - Parameter limit: coroutines stop early where few of them are at work at a time.
    init(seed: UInt64, count: Int) throws {
        random = SplitMix(seed: seed)
        if Bool.random(using: &random) { ids += Self.odd }
        try grow(by: count)
    }

    /// Appends so many events, and returns them.
    @discardableResult
    mutating func grow(by count: Int) throws -> [DurableEvent] {
        let first = events.count
        // Who is at work: of few coroutines at a time most stop long before the journal's end.
        let window = Int.random(in: 1...8, using: &random)
        for number in first..<(first + count) {
            let recent = ids.suffix(window)
            let isRecent = Int.random(in: 0..<20, using: &random) > 0
            let id = (isRecent ? recent.randomElement(using: &random) : ids.randomElement(using: &random)) ?? .root
            let value = try JSONText("{\"n\":\(number)}")
            switch Int.random(in: 0..<24, using: &random) {
            case 0 where id.encoded.split(separator: ".").count < 4:
                let child = id.child(Int.random(in: 0..<6, using: &random))
                if !ids.contains(child) { ids.append(child) }
                events.append(.yield(child, Self.effect(0, sha: true), .ok(nil)))
            case 1: events.append(.close(id, .ok(value)))
            case 2: events.append(.close(id, .error(EffectFailure(message: "no \(number)"))))
            case 3: events.append(.close(id, .cancelled))
            case 4: events.append(.yield(id, Self.effect(number, sha: false), .ok(value)))
            case 5: events.append(.yield(id, Self.effect(number, sha: true), .cancelled))
            default: events.append(.yield(id, Self.effect(number, sha: true), .ok(value)))
            }
        }
        return Array(events[first...])
    }

    /// One of few, so that what is about to run is often what was recorded.
    static func effect(_ number: Int, sha: Bool) -> EffectDescription {
        EffectDescription(
            type: number % 3 == 0 ? "a" : "b",
            name: "run",
            input: sha ? .null : nil,
            sha: sha ? JSONString("sha\(number % 2)") : nil
        )
    }
}

/// Contract §3 as plainly as it can be written: all events in a list for each coroutine, the rule of matching in the
/// contract's words.
struct ReplayModel {
    private var yields: [CoroutineID: [DurableEvent]] = [:]
    private var closes: [CoroutineID: DurableEvent] = [:]
    private var cursors: [CoroutineID: Int] = [:]

    enum Outcome: Equatable {
        case replay(EffectResult)
        case live
        case divergence(Divergence.Cause, position: Int)
    }

    init(_ events: [DurableEvent]) { extend(events) }

    mutating func extend(_ events: [DurableEvent]) {
        for event in events {
            switch event.kind {
            case .yield: yields[event.coroutineID, default: []].append(event)
            case .close: closes[event.coroutineID] = event
            }
        }
    }

    func cursor(of id: CoroutineID) -> Int { cursors[id, default: 0] }

    mutating func consumeYield(_ id: CoroutineID) { cursors[id, default: 0] += 1 }

    func peekYield(_ id: CoroutineID) throws -> YieldEntry? {
        let recorded = yields[id, default: []]
        return cursor(of: id) < recorded.count ? try recorded[cursor(of: id)].yieldEntry() : nil
    }

    func close(of id: CoroutineID) -> DurableEvent? { closes[id] }

    mutating func match(_ current: EffectDescription, in id: CoroutineID, rule: MatchingRule) throws -> Outcome {
        let position = cursor(of: id)
        guard let entry = try peekYield(id) else {
            return closes[id] == nil ? .live : .divergence(.continuesPastClose, position: position)
        }
        let stored = entry.description
        if stored.type != current.type || stored.name != current.name {
            return .divergence(.differentEffect, position: position)
        }
        if rule == .payload {
            if stored.sha == nil { return .divergence(.missingSHA, position: position) }
            if stored.sha != current.sha { return .divergence(.differentPayload, position: position) }
        }
        consumeYield(id)
        return .replay(entry.result)
    }
}
