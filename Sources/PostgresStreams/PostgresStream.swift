import LibPQ
import TisynStreams

/// One stream of a journal: the journal, the stream's name, and the epoch of a claim where there is one. A value: make as
/// many as you like, none costs the server anything.
public struct PostgresStream: DurableStream {
    let journal: Journal
    public let name: StreamName
    /// The epoch of the claim this writer has, if it has one.
    public let epoch: Int?

    /// The largest event, in bytes of its JSON text: 64 MiB.
    public static let maximumEventByteCount = 64 << 20

    // MARK: Appending

    /// Appends an event at the end, and returns its position once it is durable.
    ///
    /// It is tried over lost connections for the configuration's `appendDeadline`, and is then there exactly once. It waits as
    /// long for a transaction that holds the stream.
    ///
    /// - Throws: `JournalError`, whose `outcome` says whether the event is in the log. Cancelling the task withdraws an
    ///   append that was not sent; one that was is still carried out, unless the server refuses it, and the error's outcome
    ///   is `unknown`. `invalidArgument`, and nothing was sent, inside the body of a transaction that has appended to this
    ///   stream: it would wait for the end of that body. Use the transaction's own append there.
    @discardableResult
    public func append(_ event: DurableEvent) async throws(JournalError) -> Int {
        try await append(contentsOf: [event], expecting: nil).lowerBound
    }

    /// Appends an event at `position` and nowhere else.
    ///
    /// - Throws: as `append`; `conflict`, with both positions, when the stream's next position is another.
    @discardableResult
    public func append(_ event: DurableEvent, expecting position: Int) async throws(JournalError) -> Int {
        try await append(contentsOf: [event], expecting: position).lowerBound
    }

    /// Appends all of these one after the other, or none, and returns their positions. Of no events: an empty range at the
    /// stream's next position.
    ///
    /// - Throws: as `append`.
    @discardableResult
    public func append(
        contentsOf events: [DurableEvent],
        expecting position: Int? = nil
    ) async throws(JournalError) -> Range<Int> {
        try Self.check(events, expecting: position)
        guard !events.isEmpty else {
            return try appendNothing(at: try await nextPosition(isCurrent: true), expecting: position)
        }
        try TransactionBody.check(name, in: journal.runningTransactions)
        let room = try await journal.room(for: Append.byteCount(of: events))
        return try await append(events, expecting: position, in: room)
    }

    /// What appending no events comes to, where the stream's next position is `next`.
    func appendNothing(at next: Int, expecting position: Int?) throws(JournalError) -> Range<Int> {
        if let position, position != next {
            var error = JournalError(
                .conflict,
                outcome: .notWritten,
                "stream \(name) is at position \(next), not \(position)"
            )
            (error.expectedPosition, error.actualPosition) = (position, next)
            throw error
        }
        return next..<next
    }

    /// Appends the event that `makeEvent` makes, once there is room for it in the journal's `maximumQueuedBytes`.
    ///
    /// For many large events at the same time: what waits for room in the other forms of `append` is in memory already,
    /// here there is no event yet. `makeEvent` must not wait for another append.
    ///
    /// - Parameter byteCount: the most that the event has, in bytes of its JSON text.
    /// - Throws: as `append`; `invalidArgument` for an event that has more; what `makeEvent` throws, and then nothing is
    ///   written.
    @discardableResult
    public func append(
        reserving byteCount: Int,
        expecting position: Int? = nil,
        _ makeEvent: () throws -> DurableEvent
    ) async throws -> Int {
        try Self.check([], expecting: position)
        guard (1...Self.maximumEventByteCount).contains(byteCount) else {
            throw JournalError(
                .invalidArgument,
                outcome: .notWritten,
                "an event has 1 to \(Self.maximumEventByteCount) bytes of JSON, not \(byteCount)"
            )
        }
        try TransactionBody.check(name, in: journal.runningTransactions)
        let room = try await journal.room(for: Append.byteCount(ofEventWith: byteCount))
        let event: DurableEvent
        do {
            event = try makeEvent()
            guard event.json.utf8Count <= byteCount else {
                throw JournalError(
                    .invalidArgument,
                    outcome: .notWritten,
                    "the event has \(event.json.utf8Count) bytes of JSON; room was reserved for \(byteCount)"
                )
            }
        } catch {
            journal.gate.leave(room)
            throw error
        }
        return try await append([event], expecting: position, in: room).lowerBound
    }

    private func append(
        _ events: [DurableEvent],
        expecting position: Int?,
        in room: AppendGate.Pass
    ) async throws(JournalError) -> Range<Int> {
        do throws(JournalError) {
            let first = try await journal.append(events, to: self, expecting: position, in: room)
            journal.replayIndices.appended(events, to: name, at: first)
            return first..<(first + events.count)
        } catch {
            journal.replayIndices.failed([(events, name, nil)], error)
            throw error
        }
    }

    /// Refuses what no server would take.
    static func check(_ events: [DurableEvent], expecting position: Int?) throws(JournalError) {
        if let large = events.first(where: { $0.json.utf8Count > maximumEventByteCount }) {
            throw JournalError(
                .invalidArgument,
                outcome: .notWritten,
                "an event has at most \(maximumEventByteCount) bytes of JSON; this one has \(large.json.utf8Count)"
            )
        }
        guard Append.byteCount(of: events) <= maximumBatchByteCount else {
            throw JournalError(
                .invalidArgument,
                outcome: .notWritten,
                "events appended together have at most \(maximumBatchByteCount) bytes of JSON"
            )
        }
        if let position, position < 0 {
            throw JournalError(.invalidArgument, outcome: .notWritten, "positions are counted from 0, not \(position)")
        }
        if let position, position > greatestPosition {
            throw JournalError(.invalidArgument, outcome: .notWritten, "no stream gets to position \(position)")
        }
    }

    /// Refuses to read from where no event can be.
    static func check(reading position: Int) throws(JournalError) {
        guard position >= 0 else {
            throw JournalError(.invalidArgument, "positions are counted from 0, not \(position)")
        }
    }

    /// No stream gets so far, and behind it there is room to count.
    static let greatestPosition = 1 << 62

    /// PostgreSQL takes messages of 1 GiB; half of it leaves room for everything around the events.
    static let maximumBatchByteCount = 512 << 20

    /// Makes this process the stream's only writer.
    ///
    /// After it returns no append of an earlier claim, nor of an unclaimed writer, can commit; theirs fail with `fenced`. It
    /// waits for an append or transaction that holds the stream.
    ///
    /// - Returns: the stream to write with, and the next position as of the claim: events below it are to be replayed.
    /// - Throws: `JournalError` with `unreachable` when no server answers within the read deadline, or the stream is held for
    ///   so long; `unfit` where there is no primary; `invalidArgument` inside the body of a transaction that has appended to
    ///   the stream. Claiming again is safe.
    public func claim() async throws(JournalError) -> Claim {
        try TransactionBody.check(name, in: journal.runningTransactions, "claim the stream before the transaction")
        var parameters = Parameters()
        parameters.append(name.text)
        parameters.append(journal.configuration.durability.rawValue)
        let result = try await journal.claim(parameters)
        guard let epoch = result.integer(row: 0, column: 0), let position = result.integer(row: 0, column: 1) else {
            throw JournalError(.refused, "claim answered in an unknown form")
        }
        return Claim(
            stream: PostgresStream(journal: journal, name: name, epoch: epoch),
            epoch: epoch,
            position: position
        )
    }

    // MARK: Reading

    /// Who claimed a stream replays it, and must not miss what was there at the claim.
    private var isClaimed: Bool { epoch != nil }

    /// Where the next event goes, which is how many there are.
    public func nextPosition() async throws(JournalError) -> Int { try await nextPosition(isCurrent: isClaimed) }

    private func nextPosition(isCurrent: Bool) async throws(JournalError) -> Int {
        let (statement, parameters) = askingNextPosition
        return Self.nextPosition(try await journal.request(statement, parameters, isCurrent: isCurrent))
    }

    var askingNextPosition: (Statement, Parameters) {
        var parameters = Parameters()
        parameters.append(name.text)
        return (journal.statements.nextPosition, parameters)
    }

    static func nextPosition(_ result: QueryResult) -> Int {
        result.rowCount == 0 ? 0 : result.integer(row: 0, column: 0) ?? 0
    }

    /// All events, in order. A stream that does not exist is empty. On a standby, those that have come there, unless the
    /// stream was claimed and the connection string names the primary too.
    public func readAll() async throws(JournalError) -> [DurableEvent] {
        var pages = PageReader(journal: journal, name: name, position: 0, isCurrent: isClaimed)
        var events: [DurableEvent] = []
        while let page = try await pages.next() { events.append(contentsOf: page.lazy.map(\.event)) }
        return events
    }

    /// The events from `position` on, up to the end as it is when it is reached, page by page; none where there is nothing
    /// yet. A position below 0 fails with `invalidArgument`, when it is first asked.
    public func read(from position: Int = 0) -> StreamReading {
        StreamReading(journal: journal, name: name, position: position, isCurrent: isClaimed)
    }

    /// The events from `start` on, and then those to come, as they are committed; each once and in order.
    public func tail(from start: TailStart = .start, untilClose: Bool = false) -> Tail {
        Tail(journal: journal, name: name, start: start, endsWithRootClose: untilClose)
    }

    /// What was recorded, for one replay, with cursors of its own: read when it is first asked, as far as it is asked.
    /// Replays of one stream share what was read.
    public func replayIndex() -> StreamReplayIndex { StreamReplayIndex(journal.replayIndices.index(of: self)) }
}

extension PostgresStream: CustomStringConvertible {
    /// The name, and the epoch of a claim: for logs.
    public var description: String { epoch.map { "\(name) (epoch \($0))" } ?? name.text }
}
