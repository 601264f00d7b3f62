import Testing
import TisynStreams

@testable import PostgresStreams

@Suite("Segments", .timeLimit(.minutes(2)))
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
            let (statement, parameters) = segment.command(statements, durability)
            #expect(statement.name == "append_batch")
            #expect(parameters.byteCount == expected.reduce(0, +) + durability.rawValue.utf8.count)
        }
    }

    @Test("one event alone goes by append_single; two events or two streams do not")
    func single() throws {
        let statements = Statements(schema: try SchemaName("s"))
        var segment = try segment()
        segment.runs.removeFirst()
        let (statement, parameters) = segment.command(statements, .on)
        #expect(statement.name == "append_single")
        let event = try #require(segment.runs.first?.appends.first?.events.first)
        // Stream, epoch, position, exact, token, kind, coroutine id, event, durability.
        #expect(parameters.byteCount == 1 + 8 + 8 + 1 + 16 + 1 + 6 + event.json.utf8Count + 2)
        segment.runs[0].appends[0].events.append(event)
        #expect(segment.command(statements, .on).0.name == "append_batch")
    }

    /// What the segment makes of this answer to `append_batch`: two runs' outcomes, positions and epochs.
    private func answers(_ sql: String, _ journal: Journal, runs: Int = 2) async throws -> [Segment.Answer]? {
        let name = "answer\(UInt(bitPattern: sql.hashValue))"
        let result = try await journal.request(.init(name: name, sql: sql), .init())
        var segment = try segment()
        segment.runs.removeLast(2 - runs)
        return segment.answers(result)
    }

    @Test("every outcome is read, with and without a position")
    func outcomes() async throws {
        try await withTestJournal { journal in
            let settled = try await answers(
                "select '{written,conflict}'::text[], '{7,9000000000}'::int8[], '{0,3}'::int8[]",
                journal
            )
            #expect(
                settled == [
                    .init(outcome: .written, position: 7, epoch: 0),
                    .init(outcome: .conflict, position: 9_000_000_000, epoch: 3),
                ]
            )
            let others = try await answers(
                "select '{fenced,behind}'::text[], '{null,2000}'::int8[], '{5,0}'::int8[]",
                journal
            )
            #expect(
                others == [
                    .init(outcome: .fenced, position: nil, epoch: 5),
                    .init(outcome: .behind, position: 2000, epoch: 0),
                ]
            )
            let single = "select 'fenced'::text, null::int8, 4::int8"
            #expect(
                try await answers(single, journal, runs: 1) == [.init(outcome: .fenced, position: nil, epoch: 4)]
            )
        }
    }

    @Test("what is no answer to the segment is not taken for one")
    func strange() async throws {
        try await withTestJournal { journal in
            let strange = [
                "select '{written}'::text[], '{7}'::int8[], '{0}'::int8[]",
                "select '{written,written}'::text[], '{7}'::int8[], '{0,0}'::int8[]",
                "select '{written,written}'::text[], '{7,0}'::int8[], '{0,0,0}'::int8[]",
                "select '{written,perhaps}'::text[], '{7,0}'::int8[], '{0,0}'::int8[]",
                "select '{written,null}'::text[], '{7,0}'::int8[], '{0,0}'::int8[]",
                "select '{written,written}'::text[], '{7,0}'::int8[], '{0,null}'::int8[]",
                "select '{written,written}'::text[], '{7,0}'::int8[], '{0,0}'::int4[]",
                "select '{written,written}'::text[], '{7,0}'::int8[]",
                "select null::text[], null::int8[], null::int8[]",
                "select '{written,written}'::text[], '{7,0}'::int8[], '{0,0}'::int8[] where false",
                "select '{{written},{written}}'::text[], '{7,0}'::int8[], '{0,0}'::int8[]",
                "select 1, 2, 3",
                "select 'written'::text, 7::int8, 0::int8",
            ]
            for sql in strange {
                let answers = try await answers(sql, journal)
                #expect(answers == nil, "\(sql)")
            }
        }
    }
}
