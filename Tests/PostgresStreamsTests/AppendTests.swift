import PostgresStreams
import Testing
import TisynStreams

@Suite("Appending", .timeLimit(.minutes(10)))
struct AppendTests {
    @Test("what is appended is read back, in order, byte for byte")
    func roundTrip() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("orders/17")
            let texts = [
                #"{"type":"yield","coroutineId":"root","description":{"type":"a","name":"b"},"result":{"status":"ok","value":1e400}}"#,
                #" { "type" : "close", "coroutineId" : "root", "result" : {"status":"cancelled"}, "x":"\u0000\ud800" } "#,
            ]
            var positions: [Int] = []
            for text in texts { positions.append(try await stream.append(DurableEvent(text))) }
            #expect(positions == [0, 1])
            #expect(try await stream.readAll().map(\.json.string) == texts)
            #expect(try await stream.nextPosition() == 2)
        }
    }

    @Test("concurrent appends to many streams each land once, densely")
    func concurrentAppends() async throws {
        try await withTestJournal { journal in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<32 {
                    group.addTask {
                        let stream = try journal.stream("s\(writer % 8)")
                        for n in 0..<20 { try await stream.append(.close("w\(writer).\(n)", .ok(nil))) }
                    }
                }
                try await group.waitForAll()
            }
            for s in 0..<8 {
                let ids = try await journal.stream("s\(s)").readAll().map(\.coroutineID)
                #expect(ids.count == 80)
                #expect(Set(ids).count == 80)
            }
        }
    }

    @Test("a conflict names both positions, and nothing is written")
    func conflict() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(.close("root", .cancelled))
            let error = await #expect(throws: JournalError.self) {
                try await stream.append(.close("root", .cancelled), expecting: 7)
            }
            #expect(error?.code == .conflict)
            #expect(error?.expectedPosition == 7)
            #expect(error?.actualPosition == 1)
            #expect(try await stream.nextPosition() == 1)
        }
    }

    @Test("a position that no stream gets to is refused, or waited for")
    func farAway() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(.close("0", .cancelled))
            for _ in 0..<2 {
                let error = await thrown { try await stream.append(.close("1", .cancelled), expecting: .max) }
                #expect(error?.code == .invalidArgument)
                #expect(error?.outcome == .notWritten)
            }
            for try await event in stream.read(from: .max) { Issue.record("\(event.position) was read") }
            // Read together with others, it does them no harm.
            try await withThrowingTaskGroup(of: Int.self) { group in
                let far = Task { for try await _ in stream.tail(from: .position(.max)) {} }
                for n in 0..<30 {
                    group.addTask {
                        let other = try journal.stream("other \(n)")
                        return try await other.tail(untilClose: true).reduce(into: 0) { count, _ in count += 1 }
                    }
                }
                for n in 0..<30 { try await journal.stream("other \(n)").append(.close("root", .ok(nil))) }
                for try await count in group { #expect(count == 1) }
                far.cancel()
                #expect(await thrown { try await far.value }?.code == .cancelled)
            }
        }
    }

    @Test(
        "streams whose locks somebody holds do not keep the others from being written, however few connections append",
        arguments: [(1, 2), (8, 2), (8, 1)]
    )
    func lockedNeighbours(held: Int, connections: Int) async throws {
        let configuration = ConfigurationChange.with {
            $0.appendDeadline = .seconds(600)
            $0.writerConnections = connections
        }
        try await withTestJournal(configuration) { journal in
            try await withSQL(journal.configuration.databaseURL) { holder in
                try await holder.run("begin")
                try await withThrowingTaskGroup(of: Int.self) { locked in
                    for n in 0..<held {
                        try await holder.run(
                            "select pg_advisory_xact_lock(hashtextextended('durable_streams/locked\(n)', 0))"
                        )
                        locked.addTask { try await journal.stream("locked\(n)").append(.close("root", .ok(nil))) }
                    }
                    // New streams, which go by the lock too, some of them together with those.
                    for round in 0..<2 {
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            for n in 0..<40 {
                                group.addTask {
                                    _ = try await journal.stream("s\(round).\(n)").append(.close("root", .ok(nil)))
                                }
                            }
                            try await group.waitForAll()
                        }
                    }
                    try await holder.run("commit")
                    for try await position in locked { #expect(position == 0) }
                }
            }
        }
    }

    @Test("after a claim every earlier writer is fenced")
    func fencing() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(.close("root", .cancelled))
            let first = try await stream.claim()
            #expect(first.position == 1)
            try await first.stream.append(.close("a", .cancelled))
            let second = try await stream.claim()
            #expect(second.epoch == first.epoch + 1)
            #expect(second.position == 2)
            for writer in [stream, first.stream] {
                let error = await #expect(throws: JournalError.self) {
                    try await writer.append(.close("b", .cancelled))
                }
                #expect(error?.code == .fenced)
                #expect(error?.currentEpoch == second.epoch)
                #expect(error?.epoch == writer.epoch)
            }
            try await second.stream.append(.close("c", .cancelled))
            #expect(try await stream.readAll().map(\.coroutineID) == ["root", "a", "c"])
        }
    }

    @Test("a tail delivers what is there and then what comes")
    func tail() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(contentsOf: (0..<50).map { .close("before.\($0)", .ok(nil)) })
            async let seen: [CoroutineID] = {
                var ids: [CoroutineID] = []
                for try await event in stream.tail(untilClose: true) { ids.append(event.event.coroutineID) }
                return ids
            }()
            for n in 0..<50 { try await stream.append(.close("after.\(n)", .ok(nil))) }
            try await stream.append(.close("root", .ok(nil)))
            let ids = try await seen
            #expect(ids.count == 101)
            #expect(try await stream.readAll().map(\.coroutineID) == ids)
        }
    }

    @Test("a large batch and large events are read back in pages")
    func pages() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            let large = try DurableEvent.close(
                "large",
                .ok(JSONText("\"" + String(repeating: "x", count: 5 << 20) + "\""))
            )
            var events: [DurableEvent] = (0..<3000).map { .close("c.\($0)", .ok(nil)) }
            events.insert(large, at: 1500)
            events.insert(large, at: 1501)
            try await stream.append(contentsOf: events)
            #expect(try await stream.readAll() == events)
        }
    }

    @Test("a replay index answers from what was recorded")
    func replay() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            let effect = try EffectDescription(effectID: "pay.card", input: JSONText("{\"amount\":1}"))
            try await stream.append(.yield("root.0", effect, .ok(JSONText("true"))))
            try await stream.append(.close("root.0", .ok(nil)))
            let index = stream.replayIndex()
            #expect(try await index.match(effect, in: "root.0") == .replay(.ok(JSONText("true"))))
            await #expect(throws: Divergence.self) { try await index.match(effect, in: "root.0") }
            #expect(try await index.match(effect, in: "root") == .live)
        }
    }
}
