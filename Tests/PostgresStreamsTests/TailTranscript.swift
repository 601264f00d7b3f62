import Foundation
import TisynStreams

@testable import PostgresStreams

/// A registry, its queries under way, and what it says in short: queries as `id:stream@position`, `#` and the stream's id
/// where that is known, `=` where the event before the cursor is compared; rows by their positions.
struct TailTranscript {
    var registry = TailRegistry()
    var connection = 1
    var isBehindPooler = false
    /// Of the log: its events have other tokens than those of another.
    var incarnation: UInt64 = 1
    private var underWay: [Int: TailRegistry.Query] = [:]

    /// A consumer, numbered from 1, of these streams; sources are numbered likewise.
    mutating func add(_ streams: String..., at cursor: Int = 0) {
        let consumer = registry.addConsumer()
        for stream in streams { registry.add(StreamName(trusting: stream), cursor: cursor, for: consumer) }
    }

    @discardableResult
    mutating func wait(_ id: Int) -> String { registry.pull(id).map(Self.text) ?? "" }

    mutating func hint(_ streams: String...) {
        registry.hint(streams.map { StreamName(trusting: $0).digest })
    }

    mutating func hintAll() { registry.hintAll() }

    /// This process appends the event of that position, behind the one of that incarnation of the log. What each consumer that
    /// waited for it gets.
    mutating func appended(_ stream: String, _ position: Int, behind incarnation: UInt64 = 1) -> String {
        var taking: [Int] = []
        registry.appended(
            .made(at: position, incarnation: incarnation),
            to: StreamName(trusting: stream),
            behind: EventRow.made(at: position - 1, incarnation: incarnation).token,
            taking: &taking
        )
        return taking.map { "\($0): " + (registry.take($0).map(Self.text) ?? "later") }.joined(separator: ", ")
    }

    @discardableResult
    mutating func take(_ limit: Int = 100) -> String { taken(limit).joined(separator: ", ") }

    /// For tails that one hint made ready, in whatever order.
    mutating func takeSorted() -> String { taken(100).sorted().joined(separator: ", ") }

    private mutating func taken(_ limit: Int) -> [String] {
        var queries: [TailRegistry.Query] = []
        for lane in [TailRegistry.Lane.catchingUp, .following] {
            queries += registry.takeQueries(
                lane,
                limit: limit - queries.count,
                connection: connection,
                isBehindPooler: isBehindPooler
            )
        }
        return queries.map { query in
            underWay[query.id] = query
            let id = query.streamID.map { "#\($0)" } ?? ""
            return "\(query.id):\(query.stream)\(id)@\(query.position)\(query.isCompared ? "=" : "")"
        }
    }

    mutating func readAgain() {
        registry.readAgain(underWay.values.sorted { $0.id < $1.id })
        underWay = [:]
    }

    @discardableResult
    mutating func answer(
        _ id: Int,
        _ positions: Range<Int> = 0..<0,
        isFull: Bool = false,
        byteCount: Int = 0,
        streamID: Int? = nil
    ) -> String {
        guard let query = underWay.removeValue(forKey: id) else { return "not under way" }
        let rows = positions.map { EventRow.made(at: $0, incarnation: incarnation, byteCount: byteCount) }
        let consumer = registry.read(query, rows, streamID: streamID, isFull: isFull, connection: connection)
        guard let consumer else { return "nothing" }
        return registry.take(consumer).map(Self.text) ?? "ahead"
    }

    private static func text(_ taken: Result<TailPage, JournalError>) -> String {
        switch taken {
        case .success(let page): return page.rows.map { "\($0.position)" }.joined(separator: " ")
        case .failure(let error):
            let positions = [error.expectedPosition, error.actualPosition].map { $0.map { "\($0)" } ?? "–" }
            return (error.code == .logReplaced ? "replaced " : "? ") + positions.joined(separator: " ")
        }
    }
}

extension EventRow {
    /// - Parameter byteCount: of the event's JSON; 0 for a small one.
    static func made(at position: Int, incarnation: UInt64 = 1, byteCount: Int = 0) -> EventRow {
        EventRow(
            position: position,
            recordedAt: Date(timeIntervalSince1970: 0),
            token: .init(high: incarnation, low: UInt64(position)),
            event: byteCount == 0 ? .close("c", .cancelled) : large(byteCount)
        )
    }

    private static func large(_ byteCount: Int) -> DurableEvent {
        let overhead = DurableEvent.close("c", .ok(JSONText.null)).json.utf8Count - 2
        guard let text = try? JSONText("\"" + String(repeating: "x", count: byteCount - overhead) + "\"") else {
            preconditionFailure("a string of the letter x is JSON")
        }
        return .close("c", .ok(text))
    }
}
