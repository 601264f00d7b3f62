import LibPQ
import Synchronization
import TisynStreams

/// Consecutive events of a stream, as they came over the wire: what a replay index keeps, drops and reads again.
///
/// Its events share the result's memory. An entry is parsed when it is first asked for, and then kept with the page, unless
/// its strings are long.
final class EventPage: Sendable {
    /// The columns of the statement that reads pages for the index.
    static let columns = "e.kind, e.coroutine_id, e.event"
    private static let columnCount = 3

    let start: Int
    /// The reader's, by which it came.
    let connection: Int
    /// The page's coroutines, by the rows of their first events.
    let firstRows: [Int]
    /// Of each row its coroutine, as an index in `firstRows`, and, in the highest bit, whether it is a close.
    private let coroutines: [UInt32]
    let count: Int
    private let result: QueryResult
    private let entries = Mutex(ParsedEntries())

    /// Sorts the events by coroutine: on the connection's thread, before anybody waits for the page.
    ///
    /// - Returns: nil where one is missing.
    init?(_ result: QueryResult, start: Int, connection: Int) {
        count = result.isNull(row: 0, column: 0) ? 0 : result.rowCount
        guard PageReader.isWhole(count, from: start, to: result.integer(row: 0, column: Self.columnCount)) else {
            return nil
        }
        self.result = result
        self.start = start
        self.connection = connection
        var ids = IDTable()
        var firstRows: [Int] = []
        var firstIDs: [UnsafeRawBufferPointer] = []
        coroutines = (0..<count).map { row in
            let id = result.bytes(row: row, column: 1)
            let index = ids.index(of: id) { id.hasSameBytes(as: firstIDs[$0]) }
            if index == firstRows.count {
                firstRows.append(row)
                firstIDs.append(id)
            }
            let isClose = result.bytes(row: row, column: 0).first == UInt8(ascii: "c")
            return UInt32(truncatingIfNeeded: index) | (isClose ? Self.closeBit : 0)
        }
        self.firstRows = firstRows
    }

    private static let closeBit: UInt32 = 1 << 31

    /// The position behind it.
    var end: Int { start + count }

    /// What it occupies at most, in bytes, with the entries once they are parsed.
    var weight: Int { result.memorySize + ParsedEntries.weight(of: count) }

    /// Whether it ends with an event that the server ends a page with.
    var endsLarge: Bool {
        count > 0 && result.byteCount(row: count - 1, column: 2) > PageReader.largeEventByteCount
    }

    func kind(row: Int) -> DurableEvent.Kind { coroutines[row] & Self.closeBit == 0 ? .yield : .close }

    /// The row's coroutine, as an index in `firstRows`.
    func coroutine(row: Int) -> Int { Int(coroutines[row] & ~Self.closeBit) }

    /// The coroutine's id as the column has it, valid as long as this page.
    func coroutineID(row: Int) -> UnsafeRawBufferPointer { result.bytes(row: row, column: 1) }

    /// The event at a position of this page, which must be the coroutine's; nil where it is another's or of another kind,
    /// as after the log was replaced by an older copy of itself.
    func event(at position: Int, of id: CoroutineID, _ kind: DurableEvent.Kind) -> DurableEvent? {
        let row = position - start
        guard row >= 0, row < count, self.kind(row: row) == kind, id.isEncoded(as: coroutineID(row: row)) else {
            return nil
        }
        let json = JSONText(trusting: result.bytes(row: row, column: 2), owner: result)
        return DurableEvent(trusting: json, kind: kind, coroutineID: id)
    }

    /// The entry of the yield at a position of this page; nil as above.
    ///
    /// - Throws: `EventError` for what is no yield event of the contract.
    func entry(at position: Int, of id: CoroutineID) throws(EventError) -> YieldEntry? {
        guard let event = event(at: position, of: id, .yield) else { return nil }
        let row = position - start
        // Parsed under the page's own lock, so that it is parsed once; whoever asks for another page does not wait.
        return try entries.withLock { entries throws(EventError) in
            if let entry = entries[row] { return entry }
            let entry = try event.yieldEntry()
            if let entry { entries.keep(entry, row: row, of: count) }
            return entry
        }
    }
}
