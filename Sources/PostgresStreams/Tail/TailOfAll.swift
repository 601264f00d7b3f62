import TisynStreams

/// The events of many streams as they are committed, those that are created later included; see `Journal.tailAll`. Cancelling the
/// task ends it with `cancelled`, a `JournalError` and not a `CancellationError`.
public struct TailOfAll: AsyncSequence, Sendable {
    public typealias Element = RecordedEvent
    public typealias Failure = JournalError

    let journal: Journal
    let prefix: String
    let start: TailStart

    public func makeAsyncIterator() -> Iterator { Iterator(tail: self) }

    public struct Iterator: AsyncIteratorProtocol {
        private let tail: TailOfAll
        private var subscription: TailSubscription?
        private var page: TailPage?
        private var index = 0
        private var isEnded = false

        init(tail: TailOfAll) { self.tail = tail }

        public mutating func next() async throws(JournalError) -> RecordedEvent? {
            guard !isEnded else { return nil }
            do throws(JournalError) {
                try JournalError.checkCancellation()
                while true {
                    if let page, index < page.rows.count {
                        defer { index += 1 }
                        return page.rows[index].recorded(in: page.stream)
                    }
                    page = try await subscribed().next()
                    index = 0
                }
            } catch {
                isEnded = true
                subscription = nil
                throw error
            }
        }

        private mutating func subscribed() throws(JournalError) -> TailSubscription {
            if let subscription { return subscription }
            try StreamName.check(prefix: tail.prefix)
            try tail.start.check()
            let subscription = TailSubscription(hub: tail.journal.tails, prefix: tail.prefix, from: tail.start)
            self.subscription = subscription
            return subscription
        }
    }
}
