import TisynStreams

/// The events of a stream from a position to the end, read page by page; while one page is used the next is on its way.
///
/// A page holds at most the configuration's `pageSize` events and about 4 MiB, or one large event. Each page is read over
/// lost connections until the configuration's `readDeadline`. Cancelling the task ends it with `cancelled`.
public struct StreamReading: AsyncSequence, Sendable {
    public typealias Element = RecordedEvent

    let journal: Journal
    let name: StreamName
    let position: Int
    let isCurrent: Bool

    public func makeAsyncIterator() -> Iterator {
        let position = Swift.max(0, position)
        return Iterator(
            pages: PageReader(journal: journal, name: name, position: position, isCurrent: isCurrent),
            name: name
        )
    }

    public struct Iterator: AsyncIteratorProtocol {
        var pages: PageReader
        let name: StreamName
        private var page: [EventRow] = []
        private var index = 0

        init(pages: PageReader, name: StreamName) {
            self.pages = pages
            self.name = name
        }

        public mutating func next() async throws -> RecordedEvent? {
            try JournalError.checkCancellation()
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
