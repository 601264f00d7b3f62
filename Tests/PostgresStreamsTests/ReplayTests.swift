import PostgresStreams
import Testing
import TisynStreams

/// What the index over a stream reads, when, and what it does when others interfere. What it answers is the business of
/// `ReplayPropertyTests`.
@Suite("Replaying from the server", .serialized, .timeLimit(.minutes(10)))
struct ReplayTests {
    private func yield(_ id: CoroutineID, _ n: Int) throws -> DurableEvent {
        .yield(id, try EffectDescription(effectID: "step.run", input: JSONText("\(n)")), .ok(try JSONText("\(n)")))
    }

    @Test("a stream that does not exist answers as an empty one")
    func empty() async throws {
        try await withTestJournal { journal in
            let index = try journal.stream("nowhere").replayIndex()
            #expect(try await index.peekYield(.root) == nil)
            #expect(try await index.close(of: .root) == nil)
            #expect(try await !index.hasClose(.root))
            #expect(try await index.coroutineIDs().isEmpty)
            #expect(index.progress == (0, 0))
        }
    }

    @Test("a coroutine that stops early is known to yield no more without reading the stream to its end")
    func stopsEarly() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            let first = try (0..<3).map { try yield(.root, $0) } + [.close("root.done", .ok(nil))]
            try await stream.append(contentsOf: first + (0..<30_000).map { try yield("root.0", $0) })
            let index = stream.replayIndex()
            for _ in 0..<3 {
                #expect(try await index.peekYield(.root) != nil)
                index.consumeYield(.root)
            }
            #expect(try await index.peekYield(.root) == nil)
            #expect(try await index.peekYield("nobody") == nil)
            #expect(try await index.hasClose("root.done"))
            #expect(index.progress.known == 30_004)
            #expect(index.progress.read < 10_000)
            // Neither do the effects that run now make it read on.
            for n in 3..<6 {
                try await stream.append(yield(.root, n))
                #expect(try await index.peekYield(.root) == nil)
            }
            #expect(index.cursor(of: .root) == 6)
            #expect(index.progress.known == 30_007)
            #expect(index.progress.read < 10_000)
        }
    }

    @Test("with several readers an event that is appended while the first page is on its way is counted once")
    func severalReaders() async throws {
        try await withTestJournal(.with { $0.readerConnections = 2 }) { journal in
            let long = try journal.stream("long")
            for _ in 0..<4 { try await long.append(contentsOf: (0..<2000).map { try yield(.root, $0) }) }
            // Keeps one or the other of them busy.
            let load = Task {
                while !Task.isCancelled { for try await _ in long.read() where Task.isCancelled { break } }
            }
            defer { load.cancel() }
            let effect = try EffectDescription(effectID: "step.run", input: .null)
            for n in 0..<200 {
                let stream = try journal.stream("\(n)")
                let replay = stream.replayIndex()
                _ = try await replay.match(effect, in: .root)
                try await stream.append(.yield(.root, effect, .ok(nil)))
                _ = try await replay.match(effect, in: .root)
                #expect(try await stream.readAll().count == 1)
                #expect(try await stream.replayIndex().coroutines().first?.yieldCount == 1)
            }
        }
    }

    @Test("hasClose reads nothing of the stream")
    func hasCloseAlone() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(contentsOf: (0..<500).map { try yield(.root, $0) } + [.close(.root, .ok(nil))])
            let index = stream.replayIndex()
            #expect(try await index.hasClose(.root))
            #expect(try await !index.hasClose("root.0"))
            #expect(index.progress == (0, 501))
        }
    }

    @Test("several that ask at once get the same answers, from one reader")
    func askersAtOnce() async throws {
        try await withTestJournal(.with { $0.pageSize = 20 }) { journal in
            let stream = try journal.stream("s")
            let random = try RandomJournal(seed: 9, count: 600)
            try await stream.append(contentsOf: random.events)
            let whole = ReplayIndex(random.events)
            let index = stream.replayIndex()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for asker in 0..<12 {
                    group.addTask {
                        for id in whole.coroutineIDs.shuffled() + RandomJournal.unknown {
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

    @Test("what another process appends comes in with extend, and not before; cursors stay")
    func extend() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { ours in
                try await withJournal(.quiet(url)) { theirs in
                    let stream = try ours.stream("s")
                    try await stream.append(contentsOf: [yield(.root, 0), yield(.root, 1)])
                    let index = stream.replayIndex()
                    index.consumeYield(.root)
                    index.consumeYield(.root)
                    #expect(try await index.peekYield(.root) == nil)
                    try await theirs.stream("s").append(contentsOf: [yield(.root, 2), .close(.root, .ok(nil))])
                    #expect(try await index.peekYield(.root) == nil)
                    #expect(try await !index.hasClose(.root))
                    try await index.extend()
                    #expect(try await index.peekYield(.root)?.result == .ok(JSONText("2")))
                    #expect(try await index.hasClose(.root))
                }
            }
        }
    }

    @Test("what a tail delivers comes in at once")
    func tailed() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { ours in
                try await withJournal(.quiet(url)) { theirs in
                    let stream = try ours.stream("s")
                    try await stream.append(yield(.root, 0))
                    let index = stream.replayIndex()
                    #expect(try await index.peekYield(.root) != nil)
                    var tail = stream.tail(from: .position(1)).makeAsyncIterator()
                    try await theirs.stream("s").append(yield("root.0", 1))
                    #expect(try await tail.next()?.position == 1)
                    #expect(index.progress.known == 2)
                    #expect(try await index.peekYield("root.0")?.result == .ok(JSONText("1")))
                }
            }
        }
    }

    @Test("two replays of one stream do not disturb each other")
    func twoReplays() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(contentsOf: (0..<10).map { try yield(.root, $0) })
            let (one, other) = (stream.replayIndex(), stream.replayIndex())
            for _ in 0..<5 { one.consumeYield(.root) }
            #expect(try await one.peekYield(.root)?.result == .ok(JSONText("5")))
            #expect(try await other.peekYield(.root)?.result == .ok(JSONText("0")))
            #expect(other.cursor(of: .root) == 0)
        }
    }

    @Test("a whole replay over the index runs nothing again, goes live where the journal ends, and on from there")
    func replay() async throws {
        try await withTestJournal(.with { $0.pageSize = 16 }) { journal in
            let stream = try journal.stream("s")
            let effects = try (0..<150).map { try EffectDescription(effectID: "step.run", input: JSONText("\($0)")) }
            for n in 0..<150 { try await stream.append(yield("root.\(n % 3)", n)) }
            let index = stream.replayIndex()
            for (n, effect) in effects.enumerated() {
                let match = try await index.match(effect, in: CoroutineID("root.\(n % 3)"))
                #expect(match == .replay(.ok(try JSONText("\(n)"))))
            }
            for n in 0..<5 {
                let match = try await index.match(effects[n], in: "root.0")
                #expect(match == .live)
                try await stream.append(yield("root.0", n))
            }
            #expect(index.cursor(of: "root.0") == 55)
            try await stream.append(.close("root.0", .ok(nil)))
            await #expect(throws: Divergence.self) { try await index.match(effects[0], in: "root.0") }
            // The next worker replays them all.
            let next = stream.replayIndex()
            for n in Array(stride(from: 0, to: 150, by: 3)) + [0, 1, 2, 3, 4] {
                let match = try await next.match(effects[n], in: "root.0")
                #expect(match == .replay(.ok(try JSONText("\(n)"))))
            }
        }
    }

    /// The same effect again and again: taken for an entry, what was just appended would be its result.
    @Test("an effect that ran is not replayed to the one who ran it, in both forms", arguments: [false, true])
    func ranOnce(isInTransaction: Bool) async throws {
        try await withTestJournal { journal in
            let stream = try await journal.stream("s").claim().stream
            let effect = try EffectDescription(effectID: "clock.read", input: nil)
            func event(_ n: Int) throws -> DurableEvent { .yield(.root, effect, .ok(try JSONText("\(n)"))) }
            for n in 0..<3 { try await stream.append(event(n)) }
            var inHand = ReplayIndex(try await stream.readAll())
            let index = stream.replayIndex()
            let behind = stream.replayIndex()
            #expect(try await behind.peekYield(.root)?.result == .ok(JSONText("0")))
            for n in 0..<6 {
                let expected: Match = n < 3 ? .replay(.ok(try JSONText("\(n)"))) : .live
                #expect(try inHand.match(effect, in: .root) == expected)
                let match = try await index.match(effect, in: .root)
                #expect(match == expected)
                guard n >= 3 else { continue }
                if isInTransaction {
                    try await journal.transaction { _ = try await $0.append(event(n), to: stream) }
                } else {
                    try await stream.append(event(n))
                }
                #expect(index.cursor(of: .root) == n + 1)
            }
            // For a replay that is not so far they are entries like any other.
            for n in 0..<6 {
                let match = try await behind.match(effect, in: .root)
                #expect(match == .replay(.ok(try JSONText("\(n)"))))
            }
        }
    }

    @Test("what a tail delivers of an effect that ran is not replayed to the one who ran it either")
    func ranAndTailed() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            let index = stream.replayIndex()
            var tail = stream.tail().makeAsyncIterator()
            for n in 0..<20 {
                #expect(try await index.peekYield(.root) == nil)
                try await stream.append(yield(.root, n))
                #expect(try await tail.next()?.position == n)
            }
            #expect(index.cursor(of: .root) == 20)
            #expect(try await index.peekYield(.root) == nil)
        }
    }

    // MARK: Trouble

    @Test("one asker that is cancelled leaves the others alone")
    func cancelledAsker() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                let stream = try journal.stream("s")
                try await stream.append(contentsOf: (0..<1000).map { try yield("root.\($0 % 5)", $0) })
                let index = stream.replayIndex()
                #expect(try await index.hasClose(.root) == false)
                try await withSQL(url) { sql in
                    try await sql.run("begin")
                    try await sql.run("lock table durable_streams.events in access exclusive mode")
                    let cancelled = Task { await thrown { _ = try await index.peekYield("root.1") } }
                    let others = (0..<4).map { number in
                        Task { try await index.peekYield(CoroutineID("root.\(number)"))?.result }
                    }
                    try await until {
                        try await sql.value(
                            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
                        ) != "0"
                    }
                    cancelled.cancel()
                    #expect(await cancelled.value?.code == .cancelled)
                    try await sql.run("rollback")
                    for (number, other) in others.enumerated() {
                        #expect(try await other.value == .ok(JSONText("\(number)")))
                    }
                }
            }
        }
    }

    @Test("a whole index is whole although its connections are cut again and again")
    func connectionsCut() async throws {
        try await withTestDatabase { url in
            var configuration = JournalConfiguration.quiet(url)
            configuration.pageSize = 10
            try await withJournal(configuration) { journal in
                let stream = try journal.stream("s")
                let random = try RandomJournal(seed: 77, count: 3000)
                try await stream.append(contentsOf: random.events)
                let index = stream.replayIndex()
                try await withSQL(url) { sql in
                    for target in stride(from: 0, through: 3000, by: 300) {
                        async let read: Void = index.read(upTo: target)
                        try await sql.run(
                            """
                            select pg_terminate_backend(pid) from pg_stat_activity
                            where datname = current_database() and pid <> pg_backend_pid()
                            """
                        )
                        try await read
                    }
                }
                let all = try await index.coroutines()
                let whole = ReplayIndex(random.events)
                #expect(all.map(\.id) == whole.coroutineIDs)
                #expect(all.map(\.yieldCount) == whole.coroutineIDs.map { whole.yieldCount(of: $0) })
            }
        }
    }

    @Test("a stream that lost events it had is not taken for the one that was read")
    func logReplaced() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                let stream = try journal.stream("s")
                try await stream.append(contentsOf: (0..<300).map { try yield(.root, $0) })
                let index = stream.replayIndex()
                #expect(try await index.peekYield(.root) != nil)
                try await withSQL(url) { sql in
                    try await sql.run("set session_replication_role = replica")
                    try await sql.run("delete from durable_streams.events where position >= 200")
                }
                let error = await thrown { try await index.extend() }
                #expect(error?.code == .logReplaced)
                let later = await thrown { _ = try await index.peekYield(.root) }
                #expect(later?.code == .logReplaced)
                let anew = stream.replayIndex()
                #expect(try await anew.coroutines().map(\.yieldCount) == [200])
            }
        }
    }

    @Test("large events do not come many to a page, and are found all the same")
    func largeEvents() async throws {
        try await withTestJournal(.with { $0.replayCacheBytes = 1 << 20 }) { journal in
            let stream = try journal.stream("s")
            let large = try JSONText("\"" + String(repeating: "x", count: 400_000) + "\"")
            let events: [DurableEvent] = try (0..<60).map { n in
                let effect = try EffectDescription(effectID: "a.b", input: JSONText("\(n)"))
                return .yield("root.\(n % 2)", effect, n.isMultiple(of: 7) ? .ok(large) : .ok(nil))
            }
            try await stream.append(contentsOf: events)
            let whole = ReplayIndex(events)
            for _ in 0..<2 {
                let index = stream.replayIndex()
                var model = whole
                for n in 0..<60 {
                    let id = CoroutineID("root.\(n % 2)")
                    let entry = try await index.peekYield(id)
                    #expect(entry == (try model.peekYield(id)))
                    index.consumeYield(id)
                    model.consumeYield(id)
                }
            }
        }
    }
}
