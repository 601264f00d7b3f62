import LibPQ
import TisynStreams

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

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
