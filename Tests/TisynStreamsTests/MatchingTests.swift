import Testing
import TisynStreams

@Suite("Matching (contract §3)")
struct MatchingTests {
    private let id: CoroutineID = "root.0"
    private let result = EffectResult.ok(.null)

    private func effect(_ type: JSONString, _ name: JSONString, sha: JSONString? = nil) -> EffectDescription {
        EffectDescription(type: type, name: name, sha: sha)
    }

    private func match(
        _ current: EffectDescription,
        stored: EffectDescription?,
        isClosed: Bool = false,
        rule: MatchingRule = .payload
    ) throws(Divergence) -> Match {
        let entry = stored.map { YieldEntry(description: $0, result: result) }
        return try Matching.match(current, in: id, at: 7, entry: entry, isClosed: isClosed, rule: rule)
    }

    @Test("An equal entry is replayed, whether or not the coroutine closed later")
    func replay() throws {
        let current = effect("a", "b", sha: "s")
        #expect(try match(current, stored: current) == .replay(result))
        #expect(try match(current, stored: current, isClosed: true) == .replay(result))
    }

    @Test("Past the last entry an open coroutine is live")
    func live() throws {
        #expect(try match(effect("a", "b"), stored: nil) == .live)
    }

    @Test("Another effect diverges", arguments: [("a", "x"), ("x", "b"), ("x", "y")] as [(JSONString, JSONString)])
    func otherEffect(type: JSONString, name: JSONString) {
        let stored = effect("a", "b", sha: "s")
        let current = effect(type, name, sha: "s")
        let error = #expect(throws: Divergence.self) { try match(current, stored: stored) }
        #expect(error?.description == "Divergence at root.0[7]: expected a.b, got \(type).\(name)")
        #expect(error?.cause == .differentEffect)
        #expect(error?.coroutineID == id)
        #expect(error?.position == 7)
        #expect(error?.expected == stored)
        #expect(error?.actual == current)
        #expect(throws: Divergence.self) { try match(current, stored: stored, rule: .typeAndName) }
    }

    @Test("Another payload diverges")
    func otherPayload() throws {
        let stored = effect("a", "b.c", sha: "0123")
        let error = #expect(throws: Divergence.self) { try match(effect("a", "b.c", sha: "4567"), stored: stored) }
        #expect(
            error?.description
                == "Divergence at root.0[7]: payload mismatch for a.b.c:\n  stored sha: 0123\n  current sha: 4567"
        )
        #expect(error?.cause == .differentPayload)
        #expect(throws: Divergence.self) { try match(effect("a", "b.c"), stored: stored) }
        #expect(try match(effect("a", "b.c", sha: "4567"), stored: stored, rule: .typeAndName) == .replay(result))
    }

    @Test("A stored entry without a sha is a nonconforming journal, unless the older rule is asked for")
    func missingSHA() throws {
        let error = #expect(throws: Divergence.self) { try match(effect("a", "b", sha: "s"), stored: effect("a", "b")) }
        #expect(
            error?.description
                == "Divergence at root.0[7]: stored entry for a.b missing required sha — nonconforming journal"
        )
        #expect(error?.cause == .missingSHA)
        #expect(throws: Divergence.self) { try match(effect("a", "b"), stored: effect("a", "b")) }
        #expect(try match(effect("a", "b", sha: "s"), stored: effect("a", "b"), rule: .typeAndName) == .replay(result))
    }

    @Test("A coroutine that goes on past its close diverges", arguments: [MatchingRule.payload, .typeAndName])
    func pastClose(rule: MatchingRule) {
        let error = #expect(throws: Divergence.self) {
            try match(effect("a", "b", sha: "s"), stored: nil, isClosed: true, rule: rule)
        }
        #expect(
            error?.description
                == "Divergence: journal shows root.0 closed, but generator continues to yield effects"
        )
        #expect(error?.cause == .continuesPastClose)
        #expect(error?.expected == nil)
        #expect(error?.position == 7)
    }

    @Test("Exempt effects match by type and name only", arguments: ["stream.subscribe", "__config"])
    func exempt(effectID: String) throws {
        let current = try EffectDescription(effectID: effectID, input: nil)
        let stored = EffectDescription(type: current.type, name: current.name, input: .null, sha: "anything")
        #expect(try match(current, stored: current) == .replay(result))
        #expect(try match(current, stored: stored) == .replay(result))
        #expect(throws: Divergence.self) { try match(current, stored: effect("stream", "other")) }
    }

    @Test("Names are compared exactly, not by what they look like")
    func exactNames() {
        #expect(throws: Divergence.self) {
            try match(effect("a", "\u{E9}", sha: "s"), stored: effect("a", "e\u{301}", sha: "s"))
        }
    }
}
