import LibPQ

/// What the server says of a stream's end, and of what was there before: the first columns of the statements `indexEnd` and
/// `heads`.
struct StreamEnd: Sendable {
    /// Asks for the event at `anchor`; `s` is the stream, and `last` its last event.
    static func columns(in schema: String, anchor: String) -> String {
        """
        coalesce(\(Statements.next(after: "last.position")), 0), last.token, (
            select a.token from \(schema).events a where a.stream_id = s.id and a.position = \(anchor) and a.kind <> 'r')
        """
    }

    static func last(in schema: String) -> String {
        """
        left join lateral (
            select e.position, e.token from \(schema).events e
            where e.stream_id = s.id and e.kind <> 'r' order by e.position desc limit 1) last on true
        """
    }

    /// The next position.
    var position = 0
    /// Nil where there are no events.
    var lastToken: Token?
    /// Of the event that was asked about; nil where there is none.
    var anchorToken: Token?

    init(_ result: QueryResult) {
        guard result.rowCount > 0 else { return }
        position = result.integer(row: 0, column: 0) ?? 0
        lastToken = result.uuid(row: 0, column: 1)
        anchorToken = result.uuid(row: 0, column: 2)
    }

    /// The last event.
    var anchor: Anchor? { lastToken.map { Anchor(position: position - 1, token: $0) } }
}
