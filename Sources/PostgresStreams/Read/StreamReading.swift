import TisynStreams

/// The events of a stream from a position to the end, read page by page; while one page is used the next is on its way.
///
/// A page holds at most the configuration's `pageSize` events and about 4 MiB, or one large event. Each page is read over
/// lost connections until the configuration's `readDeadline`. Cancelling the task ends it with `cancelled`, a `JournalError`
/// and not a `CancellationError`; a position below 0, before anything is sent, with `invalidArgument`.
public struct StreamReading: AsyncSequence, Sendable {
    public typealias Element = RecordedEvent
    public typealias Failure = JournalError

    let journal: Journal
    let name: StreamName
    let position: Int
    let isCurrent: Bool

    public func makeAsyncIterator() -> Iterator {
        Iterator(
            pages: PageReader(journal: journal, name: name, position: position, isCurrent: isCurrent),
            name: name,
            start: position
        )
    }

    public struct Iterator: AsyncIteratorProtocol {
        var pages: PageReader
        let name: StreamName
        private let start: Int
        private var page: [EventRow] = []
        private var index = 0

        init(pages: PageReader, name: StreamName, start: Int) {
            self.pages = pages
            self.name = name
            self.start = start
        }

        public mutating func next() async throws(JournalError) -> RecordedEvent? {
            try JournalError.checkCancellation()
            try PostgresStream.check(reading: start)
            while index == page.count {
                guard let next = try await pages.next() else { return nil }
                page = next
                index = 0
            }
            defer { index += 1 }
            return page[index].recorded(in: name)
        }
    }
}
