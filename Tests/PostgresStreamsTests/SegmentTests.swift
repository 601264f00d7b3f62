import Testing
import TisynStreams

@testable import PostgresStreams

@Suite("Segments", .timeLimit(.minutes(10)))
struct SegmentTests {
    private let deadline = ContinuousClock.now

    private func append(_ id: Int, _ stream: StreamName, _ events: [DurableEvent], epoch: Int? = nil) -> Append {
        Append(
            id: id,
            stream: stream,
            epoch: epoch,
            expecting: nil,
            events: events,
            byteCount: Append.byteCount(of: events),
            deadline: deadline
        )
    }

    private func segment() throws -> Segment {
        let close = DurableEvent.close("c", .cancelled)
        let yield = DurableEvent.yield("root.0", EffectDescription(type: "a", name: "b"), .ok(nil))
        let (a, b) = (try StreamName("a"), try StreamName("b"))
        return Segment(
            id: 1,
            runs: [
                Segment.Run(
                    stream: a,
                    epoch: nil,
                    position: 7,
                    isExact: false,
                    token: .init(high: 1, low: 2),
                    appends: [append(1, a, [close, yield]), append(2, a, [close])]
                ),
                Segment.Run(
                    stream: b,
                    epoch: 3,
                    position: 0,
                    isExact: true,
                    token: .init(high: 3, low: 4),
                    appends: [append(3, b, [yield], epoch: 3)]
                ),
            ]
        )
    }

    @Test("a run counts its events, a segment its appends")
    func counts() throws {
        let segment = try segment()
        #expect(segment.runs.map(\.eventCount) == [3, 1])
        #expect(segment.appendCount == 3)
    }

    @Test("an append weighs its events' text and a hundred bytes for each")
    func weight() throws {
        let event = try DurableEvent(#"{"type":"close","coroutineId":"é","result":{"status":"ok"}}"#)
        #expect(event.json.utf8Count == 60)
        #expect(Append.byteCount(of: [event, event]) == 320)
        #expect(Append.byteCount(of: []) == 0)
    }

    @Test("its parameters are those of append_batch, byte for byte, and every durability has its own")
    func parameters() throws {
        let segment = try segment()
        let texts = segment.runs.flatMap { $0.appends.flatMap(\.events) }.map(\.json.utf8Count)
        // Each array: 20 bytes of header, and for each element 4 of length and its content.
        let expected: [Int] = [
            20 + 2 * (4 + 1),  // streams
            20 + 4 + (4 + 8),  // epochs, one of them null
            20 + 2 * (4 + 8),  // positions
            20 + 2 * (4 + 1),  // exact
            20 + 2 * (4 + 16),  // tokens
            20 + 4 * (4 + 4),  // runs
            20 + 4 * (4 + 4),  // offsets
            20 + 4 * (4 + 1),  // kinds
            20 + 4 * 4 + "croot.0croot.0".utf8.count,  // coroutine ids
            20 + 4 * 4 + texts.reduce(0, +),  // events
        ]
        let statements = Statements(schema: try SchemaName("s"))
        for durability in JournalConfiguration.Durability.allCases {
            let (statement, parameters) = segment.command(statements, durability, hasSettings: true)
            #expect(statement.name == "append_batch")
            #expect(parameters.byteCount == expected.reduce(0, +) + durability.rawValue.utf8.count)
        }
    }

    /// The same with one event for each stream, and what it goes behind.
    private func chained() throws -> Segment {
        var runs = try segment().runs
        for index in runs.indices {
            let first = runs[index].appends[0]
            runs[index].appends = [append(first.id, first.stream, Array(first.events.prefix(1)), epoch: first.epoch)]
            runs[index].predecessor = .init(streamID: 40 + index, token: .init(high: 9, low: 9))
        }
        return Segment(id: 2, runs: runs)
    }

    @Test("events whose predecessors are known are chained, one by values, several by arrays")
    func chainedParameters() throws {
        let statements = Statements(schema: try SchemaName("s"))
        let both = try chained()
        let texts = both.runs.map { $0.appends[0].events[0].json.utf8Count }
        let (statement, parameters) = both.command(statements, .on, hasSettings: true)
        #expect(statement.name == "append_all_chained")
        // Stream ids, positions, predecessors, tokens, kinds, coroutine ids, events.
        let arrays = [2 * 12, 2 * 12, 2 * 20, 2 * 20, 2 * 5, 2 * 4 + "croot.0".utf8.count, 2 * 4 + texts[0] + texts[1]]
        #expect(parameters.byteCount == arrays.reduce(0) { $0 + 20 + $1 })
        let (single, values) = Segment(id: 3, runs: [both.runs[1]])
            .command(statements, .on, hasSettings: true)
        #expect(single.name == "append_chained")
        #expect(values.byteCount == 8 + 8 + 16 + 16 + 1 + "root.0".utf8.count + texts[1])
        // The same, and the answer tells when they were recorded.
        #expect(both.command(statements, .on, hasSettings: true, isTimed: true).0.name == "append_all_chained_timed")
        let one = Segment(id: 3, runs: [both.runs[1]])
        #expect(one.command(statements, .on, hasSettings: true, isTimed: true).0.name == "append_chained_timed")
        #expect(both.command(statements, .on, hasSettings: false, isTimed: true).0.name == "append_next")
        // By a session without settings, the function that has its own.
        let (function, rest) = both.command(statements, .remoteApply, hasSettings: false)
        #expect(function.name == "append_next")
        #expect(rest.byteCount == parameters.byteCount + "remote_apply".utf8.count)
    }

    @Test("two events of a stream, or one whose predecessor is not known, are not chained, nor what is sent again")
    func unchained() throws {
        let chained = try chained()
        #expect(chained.isChained)
        var runs = chained.runs
        let first = runs[0].appends[0]
        runs[0].appends = [append(first.id, first.stream, first.events + first.events)]
        #expect(!Segment(id: 3, runs: runs).isChained)
        runs = chained.runs
        runs[1].predecessor = nil
        #expect(!Segment(id: 3, runs: runs).isChained)
        var again = chained
        again.unchain()
        #expect(!again.isChained)
        #expect(again.runs.map(\.token) == chained.runs.map(\.token))
    }

    @Test(
        "a chained segment's answer is how many rows were inserted, or the function says it inserted",
        .timeLimit(.minutes(10))
    )
    func chainedAnswers() async throws {
        let chained = try chained()
        try await withTestJournal { journal in
            func answers(_ rows: Int) async throws -> Segment.Answers {
                let sql =
                    "insert into \(journal.schema.quoted).streams (name) select 'x' || g from generate_series(1, \(rows)) g"
                return chained.answers(try await journal.request(.init(name: "rows\(rows)", sql: sql), .init()))
            }
            let all = try await answers(2)
            if case .answers(let all) = all {
                #expect(
                    all == [
                        .init(outcome: .written, position: 7, epoch: 0, streamID: 40),
                        .init(outcome: .written, position: 0, epoch: 3, streamID: 41),
                    ]
                )
            } else {
                Issue.record("two of two: \(all)")
            }
            let none = try await answers(0)
            if case .partial(0) = none {} else { Issue.record("none of two: \(none)") }
            func answers(to sql: String) async throws -> Segment.Answers {
                chained.answers(try await journal.request(.init(name: sql, sql: sql), .init()))
            }
            let function = try await answers(to: "select 2")
            if case .answers = function {} else { Issue.record("two, by the function: \(function)") }
            let part = try await answers(to: "select 1")
            if case .partial(1) = part {} else { Issue.record("one, by the function: \(part)") }
            for sql in ["select null::int", "select 'two'", "select", "select 1 where false"] {
                let other = try await answers(to: sql)
                if case .unreadable = other {} else { Issue.record("\(sql): \(other)") }
            }
        }
    }

    /// What the segment makes of this answer to `append_batch`: two runs' outcomes, positions, epochs and stream ids.
    private func answers(_ sql: String, _ journal: Journal) async throws -> [Segment.Answer]? {
        let name = "answer\(UInt(bitPattern: sql.hashValue))"
        let result = try await journal.request(.init(name: name, sql: sql), .init())
        let segment = try segment()
        if case .answers(let answers) = segment.answers(result) { return answers }
        return nil
    }

    @Test("every outcome is read, with and without a position")
    func outcomes() async throws {
        try await withTestJournal { journal in
            let settled = try await answers(
                "select '{written,conflict}'::text[], '{7,9000000000}'::int8[], '{0,3}'::int8[], '{1,2}'::int8[]",
                journal
            )
            #expect(
                settled == [
                    .init(outcome: .written, position: 7, epoch: 0, streamID: 1),
                    .init(outcome: .conflict, position: 9_000_000_000, epoch: 3, streamID: 2),
                ]
            )
            let others = try await answers(
                "select '{fenced,behind}'::text[], '{null,2000}'::int8[], '{5,0}'::int8[], '{3,4}'::int8[]",
                journal
            )
            #expect(
                others == [
                    .init(outcome: .fenced, position: nil, epoch: 5, streamID: 3),
                    .init(outcome: .behind, position: 2000, epoch: 0, streamID: 4),
                ]
            )
        }
    }

    @Test("what is no answer to the segment is not taken for one")
    func strange() async throws {
        try await withTestJournal { journal in
            let strange = [
                "select '{written}'::text[], '{7}'::int8[], '{0}'::int8[], '{1}'::int8[]",
                "select '{written,written}'::text[], '{7}'::int8[], '{0,0}'::int8[], '{1,2}'::int8[]",
                "select '{written,written}'::text[], '{7,0}'::int8[], '{0,0,0}'::int8[], '{1,2}'::int8[]",
                "select '{written,perhaps}'::text[], '{7,0}'::int8[], '{0,0}'::int8[], '{1,2}'::int8[]",
                "select '{written,null}'::text[], '{7,0}'::int8[], '{0,0}'::int8[], '{1,2}'::int8[]",
                "select '{written,written}'::text[], '{7,0}'::int8[], '{0,null}'::int8[], '{1,2}'::int8[]",
                "select '{written,written}'::text[], '{7,0}'::int8[], '{0,0}'::int4[], '{1,2}'::int8[]",
                "select '{written,written}'::text[], '{7,0}'::int8[], '{0,0}'::int8[], '{1,null}'::int8[]",
                "select '{written,written}'::text[], '{7,0}'::int8[], '{0,0}'::int8[]",
                "select null::text[], null::int8[], null::int8[], null::int8[]",
                "select '{written,written}'::text[], '{7,0}'::int8[], '{0,0}'::int8[], '{1,2}'::int8[] where false",
                "select '{{written},{written}}'::text[], '{7,0}'::int8[], '{0,0}'::int8[], '{1,2}'::int8[]",
                "select 1, 2, 3, 4",
            ]
            for sql in strange {
                let answers = try await answers(sql, journal)
                #expect(answers == nil, "\(sql)")
            }
        }
    }
}
