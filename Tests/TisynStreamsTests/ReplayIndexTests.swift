import Testing
import TisynStreams

@Suite("Replay index (contract §3)")
struct ReplayIndexTests {
    private func yield(_ id: CoroutineID, _ name: JSONString) -> DurableEvent {
        .yield(id, EffectDescription(type: "t", name: name, sha: "s"), .ok(.string(name)))
    }

    private func effect(_ name: JSONString) -> EffectDescription {
        EffectDescription(type: "t", name: name, sha: "s")
    }

    @Test("An empty index answers every question with nothing")
    func empty() throws {
        let index = ReplayIndex()
        #expect(try index.peekYield("root") == nil)
        #expect(index.cursor(of: "root") == 0)
        #expect(!index.hasClose("root"))
        #expect(index.close(of: "root") == nil)
        #expect(index.yieldCount(of: "root") == 0)
        #expect(index.coroutineIDs.isEmpty)
        #expect(index.eventCount == 0)
    }

    @Test("Yields are kept per coroutine in their order, whatever runs between them")
    func interleaved() throws {
        var index = ReplayIndex([
            yield("root", "a"), yield("root.0", "x"), yield("root", "b"), .close("root.0", .ok(nil)),
            yield("root", "c"),
        ])
        for name in ["a", "b", "c"] as [JSONString] {
            #expect(try index.peekYield("root")?.description.name == name)
            index.consumeYield("root")
        }
        #expect(try index.peekYield("root") == nil)
        #expect(index.cursor(of: "root") == 3)
        #expect(index.cursor(of: "root.0") == 0)
        #expect(try index.peekYield("root.0")?.result == .ok(.string("x")))
        #expect(index.hasClose("root.0"))
        #expect(!index.hasClose("root"))
        #expect(index.coroutineIDs == ["root", "root.0"])
        #expect(index.eventCount == 5)
        #expect(index.yieldCount(of: "root") == 3)
    }

    @Test("The last close counts")
    func lastClose() throws {
        let index = ReplayIndex([.close("root", .cancelled), .close("root", .ok(nil))] as [DurableEvent])
        #expect(try index.close(of: "root")?.result() == .ok(nil))
    }

    @Test("A cursor moves past the end, and for a coroutine not yet heard of")
    func pastTheEnd() throws {
        var index = ReplayIndex()
        index.consumeYield("root")
        #expect(index.cursor(of: "root") == 1)
        #expect(index.coroutineIDs.isEmpty)
        index.extend(with: [yield("root", "a"), yield("root", "b")])
        #expect(try index.peekYield("root")?.description.name == "b")
        #expect(index.coroutineIDs == ["root"])
    }

    @Test("Copies are independent")
    func valueSemantics() throws {
        var one = ReplayIndex([yield("root", "a")])
        let other = one
        one.consumeYield("root")
        one.extend(with: [.close("root", .cancelled)])
        #expect(other.cursor(of: "root") == 0)
        #expect(!other.hasClose("root"))
    }

    @Test("Copies that go on differently answer differently, whatever was asked before")
    func divergingCopies() throws {
        var one = ReplayIndex([yield("root", "a")])
        one.consumeYield("root")
        var other = one
        one.extend(with: [yield("root", "b")])
        other.extend(with: [yield("root", "c")])
        #expect(try one.peekYield("root")?.description.name == "b")
        #expect(try other.peekYield("root")?.description.name == "c")
        #expect(try one.peekYield("root")?.description.name == "b")
    }

    @Test("A match replays and moves on, then runs live; a divergence moves nothing")
    func matching() throws {
        var index = ReplayIndex([yield("root", "a"), yield("root", "b")])
        #expect(try index.match(effect("a"), in: "root") == .replay(.ok(.string("a"))))
        #expect(throws: Divergence.self) { try index.match(effect("x"), in: "root") }
        #expect(index.cursor(of: "root") == 1)
        #expect(try index.match(effect("b"), in: "root") == .replay(.ok(.string("b"))))
        #expect(try index.match(effect("c"), in: "root") == .live)
        #expect(index.cursor(of: "root") == 2)
        index.extend(with: [.close("root", .ok(nil))])
        let error = #expect(throws: Divergence.self) { try index.match(effect("c"), in: "root") }
        #expect(error?.position == 2)
    }

    @Test("A yield that is broken in the journal is found when it is asked for, and moves nothing")
    func brokenEntry() throws {
        let json = try JSONText(#"{"type":"yield","coroutineId":"root"}"#)
        var index = ReplayIndex([DurableEvent(trusting: json, kind: .yield, coroutineID: "root")])
        #expect(throws: EventError.self) { try index.peekYield("root") }
        #expect(throws: EventError.self) { try index.match(effect("a"), in: "root") }
        #expect(index.cursor(of: "root") == 0)
    }

    @Test("Random journals are answered as by a plain model", arguments: 0..<40)
    func againstModel(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let ids = (0..<Int.random(in: 1...6, using: &random)).map { CoroutineID.root.child($0) }
        let events = (0..<Int.random(in: 0...120, using: &random)).map { number in
            let id = ids.randomElement(using: &random) ?? .root
            let isClose = Int.random(in: 0..<8, using: &random) == 0
            let value = EffectResult.ok(.string(JSONString("\(number)")))
            return isClose ? .close(id, value) : DurableEvent.yield(id, effect("\(number % 3)"), value)
        }
        let split = Int.random(in: 0...events.count, using: &random)
        var index = ReplayIndex(events[..<split])
        var model = Model(events: Array(events[..<split]))
        for step in 0..<300 {
            if step == 100 {
                index.extend(with: events[split...])
                model.events = events
            }
            let id = (ids + ["stranger"]).randomElement(using: &random) ?? .root
            if Int.random(in: 0..<4, using: &random) == 0 {
                index.consumeYield(id)
                model.cursors[id, default: 0] += 1
            } else if Bool.random(using: &random) {
                let current = effect("\(Int.random(in: 0..<3, using: &random))")
                let expected = model.match(current, in: id)
                let actual = try? index.match(current, in: id)
                #expect(actual == expected)
            }
            #expect(index.cursor(of: id) == model.cursors[id, default: 0])
            #expect(try index.peekYield(id) == model.peek(id))
            #expect(index.close(of: id) == model.events.last { $0.kind == .close && $0.coroutineID == id })
            #expect(index.hasClose(id) == model.events.contains { $0.kind == .close && $0.coroutineID == id })
            #expect(index.yieldCount(of: id) == model.yields(id).count)
        }
        #expect(index.eventCount == events.count)
        #expect(Set(index.coroutineIDs) == Set(events.map(\.coroutineID)))
        #expect(index.coroutineIDs.count == Set(events.map(\.coroutineID)).count)
    }
}

/// Answers by searching the whole journal each time.
private struct Model {
    var events: [DurableEvent]
    var cursors: [CoroutineID: Int] = [:]

    func yields(_ id: CoroutineID) -> [DurableEvent] {
        events.filter { $0.kind == .yield && $0.coroutineID == id }
    }

    func peek(_ id: CoroutineID) throws -> YieldEntry? {
        try yields(id).dropFirst(cursors[id, default: 0]).first?.yieldEntry()
    }

    /// Nothing for a divergence.
    mutating func match(_ current: EffectDescription, in id: CoroutineID) -> Match? {
        if let entry = try? peek(id) {
            guard entry.description == current else { return nil }
            cursors[id, default: 0] += 1
            return .replay(entry.result)
        }
        return events.contains { $0.kind == .close && $0.coroutineID == id } ? nil : .live
    }
}
