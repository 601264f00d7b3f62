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
    ///
    /// - Parameter ours: only of coroutines that one process runs, or only of those that another does; nil: of any.
    @discardableResult
    mutating func grow(by count: Int, ours: Bool? = nil) throws -> [DurableEvent] {
        let first = events.count
        func isWanted(_ id: CoroutineID) -> Bool { ours.map { Self.isOurs(id) == $0 } ?? true }
        var ids = self.ids.filter(isWanted)
        guard !ids.isEmpty else { return [] }
        // Who is at work: of few coroutines at a time most stop long before the journal's end.
        let window = Int.random(in: 1...8, using: &random)
        for number in first..<(first + count) {
            let recent = ids.suffix(window)
            let isRecent = Int.random(in: 0..<20, using: &random) > 0
            let id = (isRecent ? recent.randomElement(using: &random) : ids.randomElement(using: &random)) ?? .root
            let value = try JSONText("{\"n\":\(number)}")
            switch Int.random(in: 0..<24, using: &random) {
            case 0 where id.encoded.split(separator: ".").count < 4:
                var child = id.child(Int.random(in: 0..<6, using: &random))
                if !isWanted(child) { child = id }
                if !ids.contains(child) { ids.append(child) }
                if !self.ids.contains(child) { self.ids.append(child) }
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

    /// Whether the process runs it whose appends are our own; a coroutine is run by one.
    private static func isOurs(_ id: CoroutineID) -> Bool {
        id.encoded.utf8.reduce(0) { $0 &+ Int($1) }.isMultiple(of: 2)
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
    /// How many yields a coroutine had when its cursor was found to be at their end.
    private var ends: [CoroutineID: Int] = [:]

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

    /// What came of effects that ran: the cursor of a coroutine that had come to its end moves past it.
    mutating func append(_ events: [DurableEvent]) {
        extend(events)
        for event in events where event.kind == .yield {
            let id = event.coroutineID
            guard let end = ends[id] else { continue }
            ends[id] = end + 1
            cursors[id] = max(cursor(of: id), end + 1)
        }
    }

    func cursor(of id: CoroutineID) -> Int { cursors[id, default: 0] }

    mutating func consumeYield(_ id: CoroutineID) { cursors[id, default: 0] += 1 }

    mutating func peekYield(_ id: CoroutineID) throws -> YieldEntry? {
        let recorded = yields[id, default: []]
        let isAtEnd = cursor(of: id) >= recorded.count
        ends[id] = isAtEnd ? recorded.count : nil
        return isAtEnd ? nil : try recorded[cursor(of: id)].yieldEntry()
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
