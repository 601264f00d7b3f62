import LibPQ
import TisynStreams

extension Journal {
    /// Reads a whole stream and checks its log: positions, tokens, JSON, columns, order, head.
    ///
    /// Reads by position alone, and so sees what a gap hides from ordinary reading. Others may append meanwhile.
    ///
    /// - Returns: how many events there are.
    /// - Throws: `LogFault` for the first law that is broken; `JournalError` when it cannot be read.
    public func verify(_ stream: StreamName) async throws -> Int {
        let head = try await self.stream(stream).nextPosition()
        var check = LogCheck(stream: stream)
        var position = Int.min
        while true {
            var parameters = Parameters()
            parameters.append(stream.text)
            parameters.append(position)
            parameters.append(configuration.pageSize)
            let result = try await request(statements.verifyPage, parameters)
            var isAtEnd = true
            for row in 0..<result.rowCount {
                guard let event = EventRow(result, row: row) else {
                    throw LogFault(law: .columns, stream: stream, position: position, details: "a column is null")
                }
                position = event.position
                guard result.bool(row: row, column: EventRow.columnCount) == false else {
                    // Behind it there is nothing; by the next page an event may have taken its place.
                    try check.checkReservation(at: position, isLast: row == result.rowCount - 1)
                    break
                }
                try check.check(event)
                isAtEnd = false
                position += 1
            }
            if isAtEnd { break }
        }
        try check.finish(head: head)
        return check.eventCount
    }

    /// Looks for events that belong to no stream.
    ///
    /// - Throws: `LogFault` for the first.
    public func verifyHeads() async throws {
        let result = try await request(statements.strayEvents, Parameters())
        guard result.rowCount > 0, let id = result.integer(row: 0, column: 0) else { return }
        throw LogFault(
            law: .head,
            stream: StreamName(trusting: "with the id \(id)"),
            position: 0,
            details: "there are events, and no stream they belong to"
        )
    }
}
