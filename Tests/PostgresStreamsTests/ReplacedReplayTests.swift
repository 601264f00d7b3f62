import Synchronization
import Testing
import TisynStreams

@testable import PostgresStreams

/// Replays across a failover that lost the end of the log, whose place others have filled since: played by the tables'
/// owner, who can switch the guards off.
@Suite("A replay of a log that was replaced", .serialized, .timeLimit(.minutes(10)))
struct ReplacedReplayTests {
    private func effect(_ n: Int) throws -> EffectDescription {
        try EffectDescription(effectID: "step.run", input: JSONText("\(n)"))
    }

    private func events(_ range: Range<Int>, of id: CoroutineID = .root) throws -> [DurableEvent] {
        try range.map { .yield(id, try effect($0), .ok(try JSONText(#""old""#))) }
    }

    /// Others write what comes from `position` on, and every connection is lost over it, unless a pooler keeps it.
    private func replaceLog(_ url: String, from position: Int, cutsConnections: Bool = true) async throws {
        try await withSQL(url) { sql in
            try await sql.run("set search_path = durable_streams")
            try await sql.run("begin")
            // Whoever connects anew waits for the commit.
            try await sql.run("lock table events in access exclusive mode")
            try await sql.run("alter table events disable trigger all")
            try await sql.run(
                """
                update events set token = gen_random_uuid(), event = replace(event::text, 'old', 'new')::json
                where position >= \(position) and kind <> 'r'
                """
            )
            try await sql.run("alter table events enable trigger all")
            if cutsConnections { try await cutConnections(sql) }
            try await sql.run("commit")
        }
    }

    private func cutConnections(_ sql: SQLSession) async throws {
        try await sql.run(
            """
            select pg_terminate_backend(pid, 60000) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()
            """
        )
    }

    /// What the root's effects from `start` on were given, until an error.
    private func replay(
        _ index: StreamReplayIndex,
        _ range: Range<Int>
    ) async throws -> (results: Set<EffectResult>, error: JournalError?) {
        var results: Set<EffectResult> = []
        for n in range {
            do {
                guard case .replay(let result) = try await index.match(effect(n), in: .root) else { break }
                results.insert(result)
            } catch let error as JournalError {
                return (results, error)
            }
        }
        return (results, nil)
    }

    private static let old: Set<EffectResult> = [.ok(JSONText.string("old"))]
    private static let new: Set<EffectResult> = [.ok(JSONText.string("new"))]

    @Test("no result of another history is given to one who began in this; a new index begins anew")
    func rewritten() async throws {
        try await withTestJournal(.with { $0.pageSize = 50 }) { journal in
            let stream = try await journal.stream("s").claim().stream
            try await stream.append(contentsOf: events(0..<2000))
            let index = stream.replayIndex()
            #expect(try await replay(index, 0..<100).results == Self.old)
            try await replaceLog(journal.configuration.databaseURL, from: 60)
            let (results, error) = try await replay(index, 100..<2000)
            #expect(results.isSubset(of: Self.old))
            #expect(error?.code == .logReplaced)
            #expect(error?.expectedPosition == 1999)
            let anew = stream.replayIndex()
            let first = try await replay(anew, 0..<60)
            #expect(first.results == Self.old, "\(first)")
            #expect(try await replay(anew, 60..<2000).results == Self.new)
        }
    }

    @Test("whoever is told begins anew, however soon")
    func atOnce() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            let index = journal.replayIndices.index(of: stream)
            let anew = Mutex<[StreamIndex]>([])
            let (progress, page) = (StreamIndex.Progress(), StreamIndex.PageAnswer())
            progress.onValue { _ in anew.withLock { $0.append(journal.replayIndices.index(of: stream)) } }
            page.onValue { _ in anew.withLock { $0.append(journal.replayIndices.index(of: stream)) } }
            index.state.withLock { state in
                state.waiters = [.init(target: 1, towards: 1, progress: progress)]
                state.fetches = [0: [page]]
            }
            #expect(index.replaced("position 0 is missing").code == .logReplaced)
            #expect(anew.withLock { $0.count == 2 && $0.allSatisfy { $0 !== index } })
        }
    }

    @Test("nor by a page that was dropped and is read again")
    func readAgain() async throws {
        try await withTestJournal(.with { ($0.pageSize, $0.replayCacheBytes) = (50, 100_000) }) { journal in
            let stream = try journal.stream("s")
            try await stream.append(contentsOf: events(0..<2000))
            let (index, other) = (stream.replayIndex(), stream.replayIndex())
            #expect(try await replay(index, 0..<2000).error == nil)
            try await replaceLog(journal.configuration.databaseURL, from: 60)
            let (results, error) = try await replay(other, 0..<2000)
            #expect(results.isSubset(of: Self.old))
            #expect(error?.code == .logReplaced)
        }
    }

    @Test(
        "nor over a connection to a pooler, which may go over to another server and tell nobody",
        .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine"),
        .enabled(if: Pooler.program != nil, "there is no pgbouncer in PATH or /usr/sbin")
    )
    func pooled() async throws {
        try await withPooler { pooled, direct in
            try await withJournal(.with(pooled) { $0.pageSize = 50 }) { journal in
                let stream = try journal.stream("s")
                try await stream.append(contentsOf: events(0..<2000))
                let index = stream.replayIndex()
                #expect(try await replay(index, 0..<100).results == Self.old)
                try await replaceLog(direct, from: 60, cutsConnections: false)
                let (results, error) = try await replay(index, 100..<2000)
                #expect(results.isSubset(of: Self.old))
                #expect(error?.code == .logReplaced)
            }
        }
    }

    @Test("nor by a close that is looked up, or when the stream's end is asked for")
    func lookedUp() async throws {
        for asksForClose in [true, false] {
            try await withTestJournal { journal in
                let stream = try journal.stream("s")
                try await stream.append(contentsOf: events(0..<9000))
                try await stream.append(contentsOf: [.close("late", .ok(nil))] + events(9000..<9010))
                let index = stream.replayIndex()
                #expect(try await replay(index, 0..<10).error == nil)
                try await replaceLog(journal.configuration.databaseURL, from: 9000)
                let error = await thrown {
                    if asksForClose { _ = try await index.close(of: "late") } else { try await index.extend() }
                }
                #expect(error?.code == .logReplaced)
            }
        }
    }

    /// What was appended is known by its position alone, until somebody reads it.
    @Test("what was appended here and read back counts as read")
    func readBack() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(contentsOf: events(0..<10))
            let index = stream.replayIndex()
            #expect(try await replay(index, 0..<5).error == nil)
            try await stream.append(contentsOf: events(10..<20))
            #expect(try await replay(index, 5..<20).results == Self.old)
            try await replaceLog(journal.configuration.databaseURL, from: 15)
            let error = await thrown { try await index.extend() }
            #expect(error?.code == .logReplaced)
        }
    }

    @Test("connections that are lost are no replacement: with claims, appends, dropped pages and closes on the way")
    func reconnected() async throws {
        try await withTestJournal(.with { ($0.pageSize, $0.replayCacheBytes) = (16, 60_000) }) { journal in
            var stream = try journal.stream("s")
            try await stream.append(contentsOf: events(0..<1000))
            let (index, behind) = (stream.replayIndex(), stream.replayIndex())
            try await withSQL(journal.configuration.databaseURL) { sql in
                for round in 0..<4 {
                    let end = 1000 + round * 20
                    try await cutConnections(sql)
                    #expect(try await replay(index, round * 100..<(round + 1) * 100).results == Self.old)
                    try await cutConnections(sql)
                    // Reserves the next position, which its first append takes.
                    if round.isMultiple(of: 2) { stream = try await stream.claim().stream }
                    if round == 3 { try await cutConnections(sql) }
                    #expect(try await !index.hasClose("root.\(round)"))
                    try await stream.append(contentsOf: events(end..<end + 20, of: "root.0"))
                    async let again = replay(behind, round * 100..<(round + 1) * 100)
                    async let close = index.close(of: "root.\(round)")
                    try await cutConnections(sql)
                    #expect(try await again.results == Self.old)
                    #expect(try await close == nil)
                    try await index.extend()
                }
            }
            #expect(try await index.coroutines().map(\.yieldCount) == [1000, 80])
        }
    }
}
