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
            let result = try await request(verifyPage, parameters)
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
        let result = try await request(strayEvents, Parameters())
        guard result.rowCount > 0, let id = result.integer(row: 0, column: 0) else { return }
        throw LogFault(
            law: .head,
            stream: StreamName(trusting: "with the id \(id)"),
            position: 0,
            details: "there are events, and no stream they belong to"
        )
    }

    /// Unlike a page of reading it takes no position for granted; large events end it all the same.
    private var verifyPage: Statement {
        Statement(
            name: "verify_page",
            sql: """
                select \(EventRow.columns), e.kind = 'r' from (
                    select e.*, sum(octet_length(e.event::text)) over (order by e.position) as total
                    from (
                        select * from \(schema.quoted).events
                        where stream_id = (select id from \(schema.quoted).streams where name = $1)
                            and position >= $2
                        order by position limit $3) e) e
                where e.total - octet_length(e.event::text) < 4194304
                order by e.position
                """,
            parameterTypes: [.text, .int8, .int8]
        )
    }

    /// From one stream's events to the next's by the key: not the whole table.
    private var strayEvents: Statement {
        Statement(
            name: "stray_events",
            sql: """
                with recursive ids (id) as (
                    (select stream_id from \(schema.quoted).events order by stream_id limit 1)
                    union all
                    select (select stream_id from \(schema.quoted).events where stream_id > ids.id
                        order by stream_id limit 1)
                    from ids where ids.id is not null)
                select ids.id from ids
                where ids.id is not null and not exists (select from \(schema.quoted).streams s where s.id = ids.id)
                limit 1
                """
        )
    }
}
