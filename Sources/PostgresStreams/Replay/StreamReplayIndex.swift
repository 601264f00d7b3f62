import LibPQ
import Synchronization
import TisynStreams

/// What a stream recorded, coroutine by coroutine, for one replay: contract §3, read from the stream as far as it is asked.
///
/// It costs nothing until it is asked. Yields are read in the stream's order, which is the order replay asks in, two
/// pages ahead; closes are looked up. The events are kept as the JSON they came in, in a cache whose size the journal's
/// configuration sets, and each is parsed once, when it is asked for.
///
/// Its cursors are its own: two replays of one stream do not disturb each other, while they share what was read. Many
/// tasks may ask at the same time; one that is cancelled leaves the others alone. Where what is asked for is there, the
/// answer comes without suspending.
///
/// It knows the events that were in the stream when it was first asked. What comes later enters
/// - at once, where it was appended through the same journal, or delivered by a tail of it,
/// - with `extend`, where another process appended it.
///
/// A failover or restore that lost the end of the log may put other events in the place of those that were read. What comes
/// over a new connection, or behind a pooler, is therefore compared first, by the token of the last event that there was when
/// the index last asked for the stream's end, as it also does where it reads beyond: where that stands no longer, the error
/// is `logReplaced`, and nothing of the other history is answered. It is not noticed
/// - while answers come from the cache, without asking the server,
/// - where only events were lost that this journal had appended, or a tail of it delivered, since that end: the index knows
///   where they stand and no more, until it reads them. Whoever appends to such a stream learns it there, if the log is
///   shorter or claimed by another.
///
/// An effect that ran is not replayed to the one who ran it: once a coroutine has come to the end of what it recorded
/// (`match` said `live`, `peekYield` gave nil), the cursor moves past each yield of it that is appended through the same
/// journal. So the loop is `match`, run, `append`, `match`, as over a `ReplayIndex`. For another replay, whose cursor is
/// further back, the same event is an entry like any other; who only follows an execution to its end, without running it,
/// does so from a journal of its own.
///
/// Of an append whose outcome is unknown the replay knows nothing until `Journal.resolve` tells: resolve it with the journal
/// that appended it, before the next question; `written` then counts as appended, and the cursor moves past the event. Who
/// does not resolve goes on from a new index, in which the event is an entry like any other, if it is there.
public final class StreamReplayIndex: Sendable {
    private struct State {
        var cursors = ReplayCursors()
        /// The stream's end was asked for since this replay began.
        var knowsEnd = false
        /// The index tells it of what is appended.
        var isLive = false
    }

    let index: StreamIndex
    private let state = Mutex(State())

    init(_ index: StreamIndex) { self.index = index }

    // MARK: The five questions

    /// `peekYield`: the entry at the coroutine's cursor; nil past the end of what it recorded.
    ///
    /// It reads on in the stream's order until it finds the entry or knows that there is none, which takes a look-up once
    /// a page was read in vain.
    ///
    /// - Throws: `JournalError` when a page cannot be read within the read deadline; the question can be asked again.
    ///   Its code is `logReplaced` when the stream turns out to be another than was read: replay from a new index.
    ///   `EventError` for an event that is in the log and no yield event of the contract.
    public func peekYield(
        _ id: CoroutineID,
        isolation: isolated (any Actor)? = #isolation
    ) async throws -> YieldEntry? {
        if let place = try place(of: id) {
            switch place {
            case .page(let page, let position): return try entry(of: id, at: position, in: page)
            case .nowhere: return nil
            case .dropped, .ahead, .aheadWithin: break
            }
        }
        return try await find(id)
    }

    /// `consumeYield`: the coroutine's cursor moves one on, past the end too.
    public func consumeYield(_ id: CoroutineID) {
        state.withLock { $0.cursors.consume(id) }
    }

    /// `getCursor`: 0 for an unknown coroutine.
    public func cursor(of id: CoroutineID) -> Int { state.withLock { $0.cursors.ordinal(of: id) } }

    /// `hasClose`: whether the coroutine closed. Reads nothing of the stream.
    ///
    /// - Throws: `JournalError` when the server cannot be asked within the read deadline.
    public func hasClose(
        _ id: CoroutineID,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(JournalError) -> Bool {
        let knowsEnd = state.withLock { $0.knowsEnd }
        if knowsEnd {
            let (place, head) = try index.place(ofCloseOf: id)
            if let head { return head.lastClose != nil }
            switch place {
            case .page, .dropped: return true
            case .nowhere: return false
            case .ahead, .aheadWithin: break
            }
        }
        let (head, _) = try await index.lookUp(id, withClose: false, learningEnd: !knowsEnd)
        state.withLock { $0.knowsEnd = true }
        return head.lastClose != nil
    }

    /// `getClose`: the coroutine's close event, the last one if there are several.
    ///
    /// - Throws: `JournalError` when the server cannot be asked within the read deadline.
    public func close(
        of id: CoroutineID,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(JournalError) -> DurableEvent? {
        let deadline = deadline
        while true {
            let knowsEnd = state.withLock { $0.knowsEnd }
            if knowsEnd {
                let (place, head) = try index.place(ofCloseOf: id)
                switch place {
                case .page(let page, let position): return try close(of: id, at: position, in: page)
                case .dropped(let range, let position):
                    let page = try await index.fetch(range, until: deadline)
                    guard position < page.start + page.count else { continue }
                    return try close(of: id, at: position, in: page)
                case .nowhere: return nil
                case .ahead, .aheadWithin: if let close = head?.close { return close }
                }
            }
            let (head, _) = try await index.lookUp(id, withClose: true, learningEnd: !knowsEnd)
            state.withLock { $0.knowsEnd = true }
            return head.close
        }
    }

    // MARK: Matching

    /// Compares an effect about to run with what was recorded: `replay` with the recorded result, and the cursor moves
    /// on; or `live`, and it runs. Appending what came of it moves the cursor past it.
    ///
    /// - Throws: `Divergence`, which is fatal for the replay; otherwise as `peekYield`.
    public func match(
        _ current: EffectDescription,
        in id: CoroutineID,
        rule: MatchingRule = .payload,
        isolation: isolated (any Actor)? = #isolation
    ) async throws -> Match {
        let entry = try await peekYield(id)
        let isClosed = entry == nil ? try await hasClose(id) : false
        return try state.withLock { state in
            let match = try Matching.match(
                current,
                in: id,
                at: state.cursors.ordinal(of: id),
                entry: entry,
                isClosed: isClosed,
                rule: rule
            )
            if case .replay = match { state.cursors.consume(id) }
            return match
        }
    }

    // MARK: The stream's end

    /// Takes in what was appended since, by whomever: cursors stay.
    ///
    /// - Throws: `JournalError` when the server cannot be asked within the read deadline.
    public func extend() async throws(JournalError) {
        try await index.learnEnd()
        state.withLock { $0.knowsEnd = true }
    }

    /// How many events the index knows of, and how many of them have been read. Both 0 until it is first asked.
    public var progress: (read: Int, known: Int) {
        index.state.withLock { (min($0.position, $0.end ?? 0), $0.end ?? 0) }
    }

    /// Reads on until the first `count` events have been read, or all there are: so that later answers come at once, for
    /// reports, or to show progress on the way.
    ///
    /// - Throws: `JournalError` when a page cannot be read within the read deadline, or with `logReplaced`, as `peekYield`.
    public func read(upTo count: Int = .max) async throws(JournalError) {
        if !state.withLock({ $0.knowsEnd }) { try await extend() }
        try await index.readOn(to: count, towards: count, until: deadline)
    }

    // MARK: Reading

    private var deadline: ContinuousClock.Instant { .now + index.journal.configuration.readDeadline }

    /// Where the yield at the coroutine's cursor is; nil before the stream's end was asked for.
    private func place(of id: CoroutineID) throws -> StreamIndex.Place? {
        let found: (StreamIndex.Place, [StreamIndex.Request])? = try state.withLock { state in
            guard state.knowsEnd else { return nil }
            let cursor = state.cursors.index(adding: id)
            return try index.place(ofYieldAt: &state.cursors.values[cursor], of: id)
        }
        guard let (place, requests) = found else { return nil }
        if case .nowhere = place { becomeLive() }
        if !requests.isEmpty { index.send(requests) }
        return place
    }

    private func find(_ id: CoroutineID) async throws -> YieldEntry? {
        let deadline = deadline
        if !state.withLock({ $0.knowsEnd }) { try await extend() }
        var wasVain = false
        while let place = try place(of: id) {
            switch place {
            case .page(let page, let position): return try entry(of: id, at: position, in: page)
            case .nowhere: return nil
            case .dropped(let range, let position):
                let page = try await index.fetch(range, until: deadline)
                if position < page.start + page.count { return try entry(of: id, at: position, in: page) }
            case .aheadWithin(let position):
                try await index.readOn(towards: position + 1, until: deadline)
            case .ahead(let position, let isLikely):
                // A coroutine goes on within a page, as a rule. Where it does not, perhaps it does not at all.
                guard wasVain || !isLikely, position >= StreamIndex.indexedFrom else {
                    try await index.readOn(until: deadline)
                    wasVain = true
                    continue
                }
                let (head, end) = try await index.lookUp(id, withClose: false, learningEnd: false)
                guard let last = head.lastYield, last >= position else {
                    state.withLock { state in
                        let cursor = state.cursors.index(adding: id)
                        index.foundNothing(at: &state.cursors.values[cursor], before: end)
                    }
                    becomeLive()
                    return nil
                }
                try await index.readOn(towards: last + 1, until: deadline)
            }
        }
        return nil
    }

    /// From here on the index tells this replay of what is appended.
    private func becomeLive() {
        guard !state.withLock({ $0.isLive }) else { return }
        index.addLive(self)
        state.withLock { $0.isLive = true }
    }

    /// Effects ran, and this is what came of them.
    func appended(_ events: some RandomAccessCollection<EventHead>, at first: Int) {
        state.withLock { state in
            for (event, position) in zip(events, first...) where event.kind == .yield {
                guard let cursor = state.cursors.find(event.coroutineID) else { continue }
                state.cursors.values[cursor].appended(at: position)
            }
        }
    }

    private func entry(of id: CoroutineID, at position: Int, in page: EventPage) throws -> YieldEntry {
        guard let entry = try page.entry(at: position, of: id) else {
            throw index.replaced("position \(position) holds another event", at: position)
        }
        return entry
    }

    private func close(of id: CoroutineID, at position: Int, in page: EventPage) throws(JournalError) -> DurableEvent {
        guard let close = page.event(at: position, of: id, .close) else {
            throw index.replaced("position \(position) holds another event", at: position)
        }
        return close
    }
}
