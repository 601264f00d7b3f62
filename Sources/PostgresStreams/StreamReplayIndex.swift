import LibPQ
import Synchronization
import TisynStreams

/// What a stream recorded, coroutine by coroutine, for one replay: contract §3, read from the stream as far as it is asked.
///
/// It costs nothing until it is asked. Yields are read ahead in the stream's order, which is the order replay asks in;
/// closes are looked up. What is read is kept as the JSON it came in and parsed when it is asked for. Several tasks may
/// ask at the same time: one reads, the others wait for it.
///
/// The index ends where the stream ended when it was first asked. What is appended later enters with `extend`.
public final class StreamReplayIndex: Sendable {
    private struct State {
        var index = ReplayIndex()
        var pages: PageReader
        /// The stream's next position, as of the first question or the last `extend`; nil before.
        var end: Int?
        var position = 0
        var isReading = false
        var waiters: [CheckedContinuation<Void, Never>] = []
        /// The closes that were looked up: nil for a coroutine that had none.
        var closes: [CoroutineID: DurableEvent?] = [:]

        var isAtEnd: Bool { end.map { position >= $0 } ?? false }
    }

    private let stream: PostgresStream
    private let state: Mutex<State>

    init(stream: PostgresStream) {
        self.stream = stream
        state = Mutex(State(pages: PageReader(journal: stream.journal, name: stream.name, position: 0)))
    }

    // MARK: The five questions

    /// `peekYield`: the entry at the coroutine's cursor; nil past the end of what it recorded.
    ///
    /// - Throws: `JournalError` when a page cannot be read within the read deadline; the question can be asked again.
    ///   `EventError` for an event that is in the log and no yield event of the contract.
    public func peekYield(_ id: CoroutineID) async throws -> YieldEntry? {
        while true {
            let (entry, isAll) = try state.withLock { state in
                (try state.index.peekYield(id), state.isAtEnd)
            }
            if entry != nil || isAll { return entry }
            try await readPage()
        }
    }

    /// `consumeYield`: the coroutine's cursor moves one on.
    public func consumeYield(_ id: CoroutineID) { state.withLock { $0.index.consumeYield(id) } }

    /// `getCursor`: 0 for an unknown coroutine.
    public func cursor(of id: CoroutineID) -> Int { state.withLock { $0.index.cursor(of: id) } }

    /// `hasClose`: whether the coroutine closed. Reads no more than that.
    public func hasClose(_ id: CoroutineID) async throws -> Bool { try await close(of: id) != nil }

    /// `getClose`: the coroutine's close event, the last one if there are several.
    ///
    /// - Throws: `JournalError` when the server cannot be asked within the read deadline.
    public func close(of id: CoroutineID) async throws -> DurableEvent? {
        try await setEnd()
        let (known, isAll) = state.withLock { ($0.closes[id], $0.isAtEnd) }
        if let known { return known }
        if isAll { return state.withLock { $0.index.close(of: id) } }
        var parameters = Parameters()
        parameters.append(stream.name.text)
        parameters.append(id.encoded)
        let result = try await stream.journal.request(stream.journal.statements.close, parameters)
        let row = result.rowCount > 0 ? EventRow(result, row: 0) : nil
        return state.withLock { state in
            // One that came after the index's end belongs to what `extend` brings.
            let close = row.flatMap { $0.position < state.end ?? 0 ? $0.event.detached() : nil }
            state.closes[id] = .some(close)
            return close
        }
    }

    // MARK: Matching

    /// Compares an effect about to run with what was recorded: `replay` with the recorded result, and the cursor moves
    /// on; or `live`, and it runs.
    ///
    /// - Throws: `Divergence`, which is fatal for the replay; otherwise as `peekYield`.
    public func match(
        _ current: EffectDescription,
        in id: CoroutineID,
        rule: MatchingRule = .payload
    ) async throws -> Match {
        let entry = try await peekYield(id)
        let isClosed = entry == nil ? try await hasClose(id) : false
        return try state.withLock { state in
            let match = try Matching.match(
                current,
                in: id,
                at: state.index.cursor(of: id),
                entry: entry,
                isClosed: isClosed,
                rule: rule
            )
            if case .replay = match { state.index.consumeYield(id) }
            return match
        }
    }

    /// Takes in what was appended since: cursors stay.
    public func extend() async throws {
        let end = try await stream.nextPosition()
        state.withLock { state in
            guard state.end != nil, end > state.end ?? 0 else { return }
            state.end = end
            state.closes = [:]
            state.pages = PageReader(journal: stream.journal, name: stream.name, position: state.position)
        }
    }

    /// Everything there is to know of each coroutine, read to the end: for reports.
    public func coroutineIDs() async throws -> [CoroutineID] {
        try await setEnd()
        while !state.withLock({ $0.isAtEnd }) { try await readPage() }
        return state.withLock { $0.index.coroutineIDs }
    }

    // MARK: Reading

    private func setEnd() async throws {
        guard state.withLock({ $0.end == nil }) else { return }
        let end = try await stream.nextPosition()
        state.withLock { $0.end = $0.end ?? end }
    }

    /// Reads one page into the index, or waits for whoever is at it.
    private func readPage() async throws {
        try await setEnd()
        let pages: PageReader? = state.withLock { state in
            guard !state.isReading, !state.isAtEnd else { return nil }
            state.isReading = true
            return state.pages
        }
        guard var pages else { return await waitForReader() }
        do {
            let rows = try await pages.next()
            finish(rows, pages)
        } catch {
            // Nobody else fails by it: the next to ask reads from where the index is.
            finish([], PageReader(journal: stream.journal, name: stream.name, position: state.withLock { $0.position }))
            throw error
        }
    }

    /// `rows` nil: the stream has no more.
    private func finish(_ rows: [EventRow]?, _ pages: PageReader) {
        let waiters = state.withLock { state in
            let end = state.end ?? 0
            if let rows {
                let new = rows.filter { $0.position < end }
                state.index.extend(with: new.map(\.event))
                state.position += new.count
            } else {
                state.end = state.position
            }
            state.pages = pages
            state.isReading = false
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func waitForReader() async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                guard state.isReading else { return true }
                state.waiters.append(continuation)
                return false
            }
            if isDone { continuation.resume() }
        }
    }
}

extension DurableEvent {
    /// With memory of its own, so that one close does not keep a page.
    fileprivate func detached() -> DurableEvent {
        DurableEvent(trusting: json.detached(), kind: kind, coroutineID: coroutineID)
    }
}
