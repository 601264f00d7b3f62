import LibPQ
import TisynStreams

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An event and where it stands.
public struct RecordedEvent: Sendable {
    public let stream: StreamName
    /// Counted from 0, without gaps.
    public let position: Int
    /// When the server wrote it, by the server's clock, a little before it was committed.
    public let recordedAt: Date
    /// Byte for byte what was appended.
    public let event: DurableEvent
}

/// An event's row, in the order of columns that every query of events keeps.
struct EventRow {
    static let columns = "e.position, e.recorded_at, e.token, e.kind, e.coroutine_id, e.event"
    static let columnCount = 6

    let position: Int
    let recordedAt: Date
    let token: Token
    let event: DurableEvent
}

extension EventRow {
    /// Reads the row; its event shares the result's memory.
    init?(_ result: QueryResult, row: Int, firstColumn: Int = 0) {
        guard let position = result.integer(row: row, column: firstColumn),
            let microseconds = result.timestamp(row: row, column: firstColumn + 1),
            let token = result.uuid(row: row, column: firstColumn + 2)
        else { return nil }
        self.position = position
        recordedAt = Date(postgresMicroseconds: microseconds)
        self.token = token
        event = DurableEvent(
            trusting: JSONText(trusting: result.bytes(row: row, column: firstColumn + 5), owner: result),
            kind: result.bytes(row: row, column: firstColumn + 3).first == UInt8(ascii: "c") ? .close : .yield,
            coroutineID: CoroutineID(encoded: result.text(row: row, column: firstColumn + 4))
        )
    }

    func recorded(in stream: StreamName) -> RecordedEvent {
        RecordedEvent(stream: stream, position: position, recordedAt: recordedAt, event: event)
    }
}

extension Date {
    /// PostgreSQL counts microseconds since 2000-01-01 00:00:00 UTC, which is 946,684,800 s after 1970.
    init(postgresMicroseconds microseconds: Int64) {
        self.init(timeIntervalSince1970: 946_684_800 + Double(microseconds) / 1e6)
    }
}
