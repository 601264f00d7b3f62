import PostgresStreams
import Synchronization
import Testing
import TisynStreams

/// What both forms of the replay index can be asked, so that one suite holds both.
protocol ReplayForm: Sendable {
    func peekYield(_ id: CoroutineID) async throws -> YieldEntry?
    func consumeYield(_ id: CoroutineID)
    func cursor(of id: CoroutineID) -> Int
    func hasClose(_ id: CoroutineID) async throws -> Bool
    func close(of id: CoroutineID) async throws -> DurableEvent?
    func match(_ current: EffectDescription, in id: CoroutineID, rule: MatchingRule) async throws -> Match
}

/// `ReplayIndex`, over events in hand.
final class ReplayInHand: ReplayForm {
    private let index: Mutex<ReplayIndex>

    init(_ events: [DurableEvent]) { index = Mutex(ReplayIndex(events)) }

    func extend(_ events: [DurableEvent]) { index.withLock { $0.extend(with: events) } }

    func peekYield(_ id: CoroutineID) async throws -> YieldEntry? { try index.withLock { try $0.peekYield(id) } }

    func consumeYield(_ id: CoroutineID) { index.withLock { $0.consumeYield(id) } }

    func cursor(of id: CoroutineID) -> Int { index.withLock { $0.cursor(of: id) } }

    func hasClose(_ id: CoroutineID) async throws -> Bool { index.withLock { $0.hasClose(id) } }

    func close(of id: CoroutineID) async throws -> DurableEvent? { index.withLock { $0.close(of: id) } }

    func match(_ current: EffectDescription, in id: CoroutineID, rule: MatchingRule) async throws -> Match {
        try index.withLock { try $0.match(current, in: id, rule: rule) }
    }
}

/// The stream's lazy index.
struct ReplayFromStream: ReplayForm {
    let index: StreamReplayIndex

    func peekYield(_ id: CoroutineID) async throws -> YieldEntry? { try await index.peekYield(id) }

    func consumeYield(_ id: CoroutineID) { index.consumeYield(id) }

    func cursor(of id: CoroutineID) -> Int { index.cursor(of: id) }

    func hasClose(_ id: CoroutineID) async throws -> Bool { try await index.hasClose(id) }

    func close(of id: CoroutineID) async throws -> DurableEvent? { try await index.close(of: id) }

    func match(_ current: EffectDescription, in id: CoroutineID, rule: MatchingRule) async throws -> Match {
        try await index.match(current, in: id, rule: rule)
    }
}

/// One replay and the model of it, asked the same.
struct ReplayComparison {
    let form: any ReplayForm
    var model: ReplayModel
    private(set) var questions = 0

    init(_ form: some ReplayForm, _ events: [DurableEvent]) {
        self.form = form
        model = ReplayModel(events)
    }

    mutating func ask(_ count: Int, of ids: [CoroutineID], random: inout SplitMix) async throws {
        // A replay follows some coroutines, and looks at others now and then.
        let followed = ids.shuffled(using: &random).prefix(4)
        for _ in 0..<count {
            let isFollowed = Int.random(in: 0..<4, using: &random) > 0
            let id = (isFollowed ? followed.randomElement(using: &random) : ids.randomElement(using: &random)) ?? .root
            try await ask(id, random: &random)
            #expect(form.cursor(of: id) == model.cursor(of: id))
        }
    }

    private mutating func ask(_ id: CoroutineID, random: inout SplitMix) async throws {
        questions += 1
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3:
            let entry = try await form.peekYield(id)
            let expected = try model.peekYield(id)
            #expect(entry == expected, "peekYield(\(id)) at \(model.cursor(of: id))")
        case 3..<5:
            form.consumeYield(id)
            model.consumeYield(id)
        case 5:
            let close = try await form.close(of: id)
            #expect(close == model.close(of: id), "close(of: \(id))")
        case 6:
            let hasClose = try await form.hasClose(id)
            #expect(hasClose == (model.close(of: id) != nil), "hasClose(\(id))")
        default:
            let recorded = try model.peekYield(id)?.description
            let isRecorded = Int.random(in: 0..<8, using: &random) > 0
            let other = RandomJournal.effect(Int.random(in: 0..<6, using: &random), sha: true)
            let current = (isRecorded ? recorded : nil) ?? other
            let rule: MatchingRule = Bool.random(using: &random) ? .payload : .typeAndName
            let expected = try model.match(current, in: id, rule: rule)
            let outcome: ReplayModel.Outcome
            do {
                outcome =
                    switch try await form.match(current, in: id, rule: rule) {
                    case .live: .live
                    case .replay(let result): .replay(result)
                    }
            } catch let divergence as Divergence {
                outcome = .divergence(divergence.cause, position: divergence.position)
            }
            #expect(outcome == expected, "match in \(id)")
        }
    }
}
