import LibPQ
import TisynStreams

extension Journal {
    /// Reads a whole stream and checks its log: positions, tokens, JSON, columns, order, length.
    ///
    /// Reads by position alone, and so sees what a gap hides from ordinary reading. Others may append meanwhile.
    ///
    /// - Returns: how many events there are.
    /// - Throws: `LogFault` for the first law that is broken; `JournalError` when it cannot be read.
    public func verify(_ stream: StreamName) async throws -> Int {
        let next = try await self.stream(stream).nextPosition()
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
        try check.finish(next: next)
        return check.eventCount
    }

    /// Looks for events that belong to no stream.
    ///
    /// - Throws: `LogFault` for the first.
    public func verifyOwners() async throws {
        let result = try await request(statements.strayEvents, Parameters())
        guard let id = result.rowCount > 0 ? result.integer(row: 0, column: 0) : nil,
            let position = result.integer(row: 0, column: 1)
        else { return }
        throw LogFault(
            law: .owner,
            streamID: id,
            position: position,
            details: "there are events from here on, and no stream they belong to"
        )
    }
}
