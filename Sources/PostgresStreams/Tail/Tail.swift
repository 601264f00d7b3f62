import LibPQ
import TisynStreams

/// Where a tail begins.
public enum TailStart: Sendable, Hashable {
    /// With the first event there is.
    case start
    /// With the first that is committed after the tail asked where the end is.
    case end
    /// With the event at this position, whether or not it is there yet. Below 0 the tail ends with `invalidArgument`.
    case position(Int)

    /// Refuses a position that no event can have.
    func check() throws(JournalError) {
        if case .position(let position) = self { try PostgresStream.check(reading: position) }
    }
}

/// The events of a stream as they are committed: those that are there, then those to come, each once and in order, across
/// lost connections and restarts of the server.
///
/// It waits for as long as it takes, also for a stream that does not exist yet. It ends
/// - with `cancelled`, at once, when the task is cancelled: a `JournalError`, not a `CancellationError`,
/// - after the root coroutine's close, where that was asked for; where it stands before the begin, with what is there,
/// - with `closed` when the journal is closed,
/// - with `invalidArgument`, before anything is sent, for a position below 0,
/// - with `refused` when the server refuses to let it be read and always will,
/// - with `logReplaced` when what it delivered is no longer there.
///
/// A consumer that does not pull costs nothing and delays nobody. One that waits for the next event, where the same journal
/// appends it, has it as a rule as soon as that is acknowledged, without a question to the server. (Not through a pooler; and
/// batches, and a stream's first append, are read.)
public struct Tail: AsyncSequence, Sendable {
    public typealias Element = RecordedEvent
    public typealias Failure = JournalError

    let journal: Journal
    let name: StreamName
    let start: TailStart
    let endsWithRootClose: Bool

    public func makeAsyncIterator() -> Iterator { Iterator(tail: self) }

    public struct Iterator: AsyncIteratorProtocol {
        private let tail: Tail
        private var subscription: TailSubscription?
        private var page: [EventRow] = []
        private var index = 0
        private var isEnded = false
        /// Where the stream ended when the tail began, if its root had closed before that.
        private var end: Int?

        init(tail: Tail) { self.tail = tail }

        public mutating func next() async throws(JournalError) -> RecordedEvent? {
            guard !isEnded else { return nil }
            do throws(JournalError) {
                try JournalError.checkCancellation()
                while index == page.count {
                    guard let subscription = try await subscribed() else {
                        isEnded = true
                        return nil
                    }
                    page = try await subscription.next().rows
                    index = 0
                    if let first = page.first?.position {
                        tail.journal.replayIndices.delivered(page.lazy.map(\.event), of: tail.name, at: first)
                    }
                }
            } catch {
                isEnded = true
                subscription = nil
                throw error
            }
            let row = page[index]
            index += 1
            let isRootClose = row.event.kind == .close && row.event.coroutineID == .root
            if tail.endsWithRootClose && isRootClose || row.position + 1 == end {
                isEnded = true
                subscription = nil
            }
            return row.recorded(in: tail.name)
        }

        /// A request gives up after a while, having paused between its attempts; a tail does not.
        private func patiently<R>(
            _ request: () async throws(JournalError) -> R
        ) async throws(JournalError) -> R {
            while true {
                do throws(JournalError) {
                    return try await request()
                } catch {
                    guard !error.endsTail else { throw error }
                }
            }
        }

        /// Nil where there is nothing to wait for.
        private mutating func subscribed() async throws(JournalError) -> TailSubscription? {
            if let subscription { return subscription }
            try tail.start.check()
            let cursor =
                switch tail.start {
                case .start: 0
                case .position(let position): Swift.min(position, PostgresStream.greatestPosition)
                case .end:
                    try await patiently { () async throws(JournalError) in
                        try await tail.journal.stream(tail.name).nextPosition()
                    }
                }
            if tail.endsWithRootClose, cursor > 0 {
                end = try await patiently { () async throws(JournalError) in
                    try await tail.journal.end(of: tail.name, ifRootClosedBefore: cursor)
                }
                if let end, end <= cursor { return nil }
            }
            let subscription = TailSubscription(hub: tail.journal.tails, stream: tail.name, cursor: cursor)
            self.subscription = subscription
            return subscription
        }
    }
}

/// A place among the journal's tails; given up with the last reference.
final class TailSubscription: Sendable {
    private let hub: TailHub
    private let consumer: Int

    init(hub: TailHub, stream: StreamName, cursor: Int) {
        self.hub = hub
        consumer = hub.add(stream, cursor: cursor)
    }

    init(hub: TailHub, prefix: String, from start: TailStart) {
        self.hub = hub
        consumer = hub.addAll(prefix: prefix, from: start)
    }

    deinit { hub.remove(consumer) }

    func next() async throws(JournalError) -> TailPage { try await hub.next(consumer) }
}

extension Journal {
    fileprivate func end(of name: StreamName, ifRootClosedBefore position: Int) async throws(JournalError) -> Int? {
        var parameters = Parameters()
        parameters.append(name.text)
        parameters.append(CoroutineID.root.encoded)
        parameters.append(position)
        parameters.append(false)
        parameters.append(-1)
        let heads = try await request(statements.heads, parameters)
        guard heads.rowCount > 0, heads.integer(row: 0, column: 4) != nil else { return nil }
        return StreamEnd(heads).position
    }
}
