import Foundation
import Testing
import TisynStreams

@testable import PostgresStreams

/// Replays that go on after an append whose outcome was unknown: what it recorded is not replayed to the one who ran it.
@Suite("A replay and appends with an unknown outcome", .serialized, .timeLimit(.minutes(10)))
struct ResolvedReplayTests {
    private func effect(_ n: Int) throws -> EffectDescription {
        try EffectDescription(effectID: "step.run", input: JSONText("\(n)"))
    }

    private func event(_ id: CoroutineID, _ n: Int) throws -> DurableEvent {
        .yield(id, try effect(n), .ok(try JSONText("\(n)")))
    }

    /// An append that was cancelled on the wire, and came to be written all the same.
    private func givenUp(_ events: [DurableEvent], _ stream: PostgresStream) async throws -> AppendReceipt {
        try await withSQL(stream.journal.configuration.databaseURL) { holder in
            try await withSQL(stream.journal.configuration.databaseURL) { observer in
                // Refused for the lock, one that was given up is not written.
                try await holder.letAppendsWait()
                try await holder.run("begin")
                try await holder.run("lock table durable_streams.events in exclusive mode")
                let append = Task { await thrown { try await stream.append(contentsOf: events) } }
                try await until { try await observer.seesAppendWaiting() }
                append.cancel()
                let error = await append.value
                #expect(error?.outcome == .unknown)
                try await holder.run("commit")
                await stream.journal.flush()
                return try #require(error?.receipt)
            }
        }
    }

    /// What happens between the end of the append and the answer of `resolve`.
    enum Meanwhile: CaseIterable, Sendable {
        case nothing, anotherAppends, theSameAppends, aTailDelivers, theEndIsAsked
    }

    @Test("written, it is behind the cursor of the one who ran it", arguments: Meanwhile.allCases)
    func written(_ meanwhile: Meanwhile) async throws {
        try await withTestJournal(.with { $0.appendDeadline = .seconds(280) }) { journal in
            let stream = try await journal.stream("s").claim().stream
            let (index, behind) = (stream.replayIndex(), stream.replayIndex())
            #expect(try await index.match(effect(0), in: .root) == .live)
            #expect(try await index.match(effect(0), in: "other") == .live)
            let receipt = try await givenUp([event(.root, 0), event(.root, 1)], stream)
            var ordinal = 2
            switch meanwhile {
            case .nothing: break
            case .anotherAppends: try await stream.append(event("other", 0))
            case .theSameAppends:
                try await stream.append(event(.root, 2))
                ordinal = 3
            case .aTailDelivers:
                var tail = stream.tail().makeAsyncIterator()
                for position in 0..<2 { #expect(try await tail.next()?.position == position) }
            case .theEndIsAsked: try await index.extend()
            }
            // By way of another process, or not.
            let handedOn = try JSONDecoder().decode(AppendReceipt.self, from: JSONEncoder().encode(receipt))
            #expect(try await journal.resolve(handedOn) == .written(at: 0))
            // How many there were before its own it counts when it reads them.
            if meanwhile == .theSameAppends { try await index.read() }
            // The same effect again: taken for an entry, what was recorded would be its result.
            #expect(try await index.match(effect(0), in: .root) == .live)
            #expect(index.cursor(of: .root) == ordinal)
            // Twice is no more.
            #expect(try await journal.resolve(receipt) == .written(at: 0))
            #expect(index.cursor(of: .root) == ordinal)
            #expect(try await index.match(effect(0), in: "other") == .live)
            try await stream.append(event(.root, ordinal))
            #expect(index.cursor(of: .root) == ordinal + 1)
            // For one that is not so far it is an entry like any other.
            for n in 0...ordinal {
                #expect(try await behind.match(effect(n), in: .root) == .replay(.ok(JSONText("\(n)"))))
            }
        }
    }

    @Test("what another journal gave up is another's, whoever resolves it")
    func another() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { ours in
                let index = try ours.stream("s").replayIndex()
                #expect(try await index.match(effect(0), in: .root) == .live)
                let receipt = try await withJournal(.with(url) { $0.appendDeadline = .seconds(280) }) { theirs in
                    try await givenUp([event(.root, 0)], theirs.stream("s"))
                }
                #expect(try await ours.resolve(receipt) == .written(at: 0))
                try await index.extend()
                #expect(try await index.match(effect(0), in: .root) == .replay(.ok(JSONText("0"))))
            }
        }
    }

    @Test("what a transaction appended to several streams is told to the replays of each, once its commit is known")
    func transaction() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                let streams = [try journal.stream("a"), try journal.stream("b")]
                try await streams[1].append(event(.root, 0))
                let indices = streams.map { $0.replayIndex() }
                indices[1].consumeYield(.root)
                for index in indices { #expect(try await index.match(effect(7), in: .root) == .live) }
                // As the transaction did, whose commit was not answered.
                try await withJournal(.quiet(url)) { other in
                    for stream in streams { try await other.stream(stream.name).append(event(.root, 7)) }
                }
                let receipt = AppendReceipt(
                    stream: streams[0].name,
                    epoch: nil,
                    position: 0,
                    token: .init(high: 1, low: 1),
                    offset: 0
                )
                var error = JournalError(.unreachable, outcome: .unknown, "the connection was lost")
                error.receipt = receipt
                let events = [try event(.root, 7)]
                journal.replayIndices.failed([(events, streams[0].name, 0), (events, streams[1].name, 1)], error)
                journal.replayIndices.resolved(receipt, .notWrittenYet)
                #expect(indices.map { $0.cursor(of: .root) } == [0, 1])
                journal.replayIndices.resolved(receipt, .written(at: 0))
                #expect(indices.map { $0.cursor(of: .root) } == [1, 2])
                for index in indices { #expect(try await index.match(effect(7), in: .root) == .live) }
            }
        }
    }

    @Test("appends that are not resolved are remembered up to a number of events, the latest in any case")
    func bounded() throws {
        let stream = try StreamName("s")
        func receipt(_ n: Int) -> AppendReceipt {
            AppendReceipt(stream: stream, epoch: nil, position: n, token: .init(high: 1, low: UInt64(n)), offset: 0)
        }
        func part(_ count: Int) throws -> UnresolvedAppends.Part {
            .init(stream: stream, events: try (0..<count).map { EventHead(try event(.root, $0)) })
        }
        var appends = UnresolvedAppends(capacity: 10)
        let receipts = (0..<5).map(receipt)
        for receipt in receipts.prefix(4) { appends.add([try part(3)], by: receipt) }
        #expect(appends.remove(receipts[0]).isEmpty)
        #expect(appends.remove(receipts[1]).count == 1)
        #expect(appends.remove(receipts[1]).isEmpty)
        appends.add([try part(100), try part(1)], by: receipts[4])
        #expect(appends.remove(receipts[2]).isEmpty)
        #expect(appends.remove(receipts[3]).isEmpty)
        #expect(appends.remove(receipts[4]).map(\.events.count) == [100, 1])
        appends.add([try part(3)], by: receipts[0])
        #expect(appends.remove(receipts[0]).count == 1)
    }
}
