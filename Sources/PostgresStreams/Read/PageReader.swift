import LibPQ

/// Reads a stream's pages one after the other, each asked for while the one before is used.
struct PageReader {
    private let journal: Journal
    private let name: StreamName
    private let isCurrent: Bool
    private var position: Int
    private var limit: Int
    private var underWay: PageRequest?
    private var isAtEnd = false
    /// Why there is no page behind the last one.
    private var damage: JournalError?

    /// What a page should weigh, in bytes of JSON.
    static let targetByteCount = 4 << 20
    /// Above it the server ends the page with the event; see the migration's index `events_large`.
    static let largeEventByteCount = 32 << 10

    /// - Parameter isCurrent: what a lagging standby has will not do.
    init(journal: Journal, name: StreamName, position: Int, isCurrent: Bool) {
        self.journal = journal
        self.name = name
        self.position = min(position, PostgresStream.greatestPosition)
        self.isCurrent = isCurrent
        // Nothing is known yet of the events' size: the first page is small enough for any.
        limit = Swift.min(128, journal.configuration.pageSize)
    }

    /// The next page, not empty; nil at the end.
    ///
    /// - Throws: `logDamaged` where a position is missing, behind all that come before it.
    mutating func next() async throws(JournalError) -> [EventRow]? {
        // The page may have come already.
        try JournalError.checkCancellation()
        if let damage { throw damage }
        guard !isAtEnd else { return nil }
        var page = underWay ?? request()
        underWay = nil
        var result = await Self.answer(page)
        // A copy of this reader gave it up, in a task that was cancelled. Ours was not.
        while case .failure(let error) = result, error.code == .cancelled, !Task.isCancelled {
            page = request()
            result = await Self.answer(page)
        }
        let rows = try rows(result.get())
        guard let last = rows.last else {
            isAtEnd = true
            return nil
        }
        let endsLarge = last.event.json.utf8Count > Self.largeEventByteCount
        position = last.position + 1
        isAtEnd = rows.count < limit && !endsLarge
        let average = rows.reduce(0) { $0 + $1.event.json.utf8Count } / rows.count
        limit = Swift.min(journal.configuration.pageSize, Swift.max(16, Self.targetByteCount / Swift.max(1, average)))
        if !isAtEnd, damage == nil { underWay = request() }
        return rows
    }

    private static func answer(_ page: PageRequest) async -> Result<QueryResult, JournalError> {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in page.answer.onValue { continuation.resume(returning: $0) } }
        } onCancel: {
            page.cancel()
        }
    }

    private func request() -> PageRequest {
        var parameters = Parameters()
        parameters.append(name.text)
        parameters.append(position)
        parameters.append(limit)
        let reader = isCurrent ? journal.current(journal.reader) : journal.reader
        return PageRequest(
            journal.statements.page,
            parameters,
            by: reader,
            within: journal.configuration.readDeadline
        )
    }

    /// The page's rows, up to the first that is missing.
    private mutating func rows(_ result: QueryResult) throws(JournalError) -> [EventRow] {
        let rows = (0..<result.rowCount).compactMap { EventRow(result, row: $0) }
        let end = result.integer(row: 0, column: EventRow.columnCount)
        if Self.isWhole(rows.count, from: position, to: end) { return rows }
        let whole = zip(rows, position...).prefix { $0.position == $1 }.map(\.0)
        let damage = JournalError.damaged(name, at: position + whole.count)
        guard !whole.isEmpty else { throw damage }
        self.damage = damage
        return whole
    }

    /// - Parameter end: where the page ends of which nothing is missing; nil where its first position is, or the stream.
    static func isWhole(_ count: Int, from position: Int, to end: Int?) -> Bool {
        count == max(0, (end ?? position - 1) - position + 1)
    }
}
