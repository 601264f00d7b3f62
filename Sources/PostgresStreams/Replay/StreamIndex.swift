import LibPQ
import Synchronization
import TisynStreams

/// What is known of one stream for replay, shared by all replays of it in a journal: contract §3 without the cursors.
///
///     replay ─┐            ┌─ CoroutineTable: each coroutine's positions, as far as it was read
///     replay ─┼─ StreamIndex ─ PageCache: the events themselves, some of them
///     replay ─┘            ├─ CoroutineHeads: what the server was asked of single coroutines
///        own appends, tails ┘
///
/// It reads a stream once, from the beginning, as far as the questions make it. Pages are taken in by the thread of the
/// connection that brings them: whoever asked may go away, and nobody else notices. The lock is held for looking things
/// up and for taking a page in, never while anything is waited for.
final class StreamIndex: Sendable {
    typealias PageAnswer = Once<Result<EventPage, JournalError>>
    typealias Progress = Once<Result<Void, JournalError>>

    struct Waiter {
        /// It waits until the stream has been read so far.
        var target: Int
        /// How far it will want it to be read.
        var towards: Int
        var progress: Progress
    }

    struct WeakReplay { weak var replay: StreamReplayIndex? }

    struct State {
        var table = CoroutineTable()
        var pages: PageCache<EventPage>
        var ahead: ReadAhead<EventPage>
        var heads: CoroutineHeads
        /// How many events the stream has, as far as is known; nil until that was asked.
        var end: Int?
        /// The end of what this journal appended or its tails delivered: the stream has at least so many.
        var seenEnd = 0
        var waiters: [Waiter] = []
        /// Dropped pages that are on their way back, by where they begin.
        var fetches: [Int: [PageAnswer]] = [:]
        /// The end of the last dropped page that was read again: whoever asks for the next goes through them in order.
        var lastFetchEnd = -1
        /// What a page weighs, as of the last.
        var pageWeight = 0
        /// The last event when it was last asked where the stream ends. See `StreamIndex+Comparing.swift`.
        var anchor: Anchor?
        /// The reader's connection on which the anchor was found, or compared.
        var comparedOn = 0
        /// How many times it is being asked where the stream ends.
        var looks = 0
        /// Pages that wait for one of these.
        var keptBack: [@Sendable (Result<Void, JournalError>) -> Void] = []
        /// Set once, when the stream turned out not to be the one that was read.
        var replaced: JournalError?
        /// The replays that have come to the end of what some coroutine recorded.
        var live: [WeakReplay] = []

        /// It was read up to here.
        var position: Int { pages.end }
        var isRead: Bool { end.map { position >= $0 } ?? false }
        /// Whether a page more can be kept without dropping what is in use.
        var hasRoomAhead: Bool { pageWeight * 4 <= pages.capacity }
    }

    /// From this position on the server finds a coroutine's last yield without reading the stream: the migration's index
    /// `events_yields`. Below it the stream is read, which is a few pages.
    static let indexedFrom = 4096

    let journal: Journal
    let name: StreamName
    /// Its number in the journal's registry.
    let number: Int
    private let chosen: Requester
    let state: Mutex<State>

    init(journal: Journal, name: StreamName, number: Int) {
        self.journal = journal
        self.name = name
        self.number = number
        // One for all pages, so that they come in the order they were asked for.
        chosen = journal.reader
        let capacity = journal.configuration.replayCacheBytes
        state = Mutex(
            State(
                pages: PageCache(capacity: capacity),
                // The server plans the query of each page anew, which takes it as long as some hundred events.
                ahead: ReadAhead(mostEvents: journal.configuration.pageSize * 2),
                heads: CoroutineHeads(capacity: capacity / 4)
            )
        )
    }

    deinit { journal.replayIndices.remove(name, number) }

    /// What was appended or claimed here has to be there: a standby may lag.
    var reader: Requester { journal.current(chosen) }

    // MARK: Looking up, without waiting

    /// Where the answer to a question is.
    enum Place {
        case page(EventPage, position: Int)
        /// In a page that was dropped.
        case dropped(Range<Int>, position: Int)
        /// There is none.
        case nowhere
        /// At or behind this position, up to which the stream was read; or nowhere, which is likelier where the end of
        /// what was recorded had been reached before.
        case ahead(Int, isLikely: Bool)
        /// Further on, and it is known how far at most.
        case aheadWithin(Int)
    }

    /// The yield at a replay's cursor.
    ///
    /// - Returns: with it, what to ask for meanwhile; the caller sends it, once it holds no lock of its own.
    func place(
        ofYieldAt cursor: inout ReplayCursor,
        of id: CoroutineID
    ) throws(JournalError) -> (place: Place, requests: [Request]) {
        var requests: [Request] = []
        let (place, failure): (Place, JournalError?) = state.withLock { state in
            if let error = state.replaced { return (.nowhere, error) }
            if let position = cursor.position(in: state.table, of: id) {
                let (place, following) = Self.place(of: position, in: &state)
                requests = Self.requestsAhead(&state, following: following)
                return (place, nil)
            }
            if state.isRead {
                cursor.foundNothing(before: state.position, in: state.table)
                return (.nowhere, nil)
            }
            let passed = max(state.position, cursor.recordedEnd?.position ?? 0)
            if let end = state.end, passed >= end { return (.nowhere, nil) }
            guard state.position >= Self.indexedFrom, let head = state.heads[id] else {
                return (.ahead(passed, isLikely: cursor.recordedEnd == nil), nil)
            }
            if let last = head.lastYield, last >= passed { return (.aheadWithin(last), nil) }
            cursor.foundNothing(before: state.end ?? 0, in: state.table)
            return (.nowhere, nil)
        }
        if let failure { throw failure }
        return (place, requests)
    }

    /// The last close of a coroutine, if that can be told without asking the server.
    func place(ofCloseOf id: CoroutineID) throws(JournalError) -> (place: Place, head: CoroutineHeads.Head?) {
        let (place, head, failure): (Place, CoroutineHeads.Head?, JournalError?) = state.withLock { state in
            if let replaced = state.replaced { return (.nowhere, nil, replaced) }
            if state.isRead {
                guard let coroutine = state.table[id], coroutine.close >= 0 else { return (.nowhere, nil, nil) }
                return (Self.place(of: coroutine.close, in: &state).place, nil, nil)
            }
            let head = state.heads[id]
            if let head, head.lastClose == nil { return (.nowhere, head, nil) }
            return (.ahead(state.position, isLikely: true), head, nil)
        }
        if let failure { throw failure }
        return (place, head)
    }

    /// The server said that the coroutine yields nothing from where it was looked for up to `end`.
    func foundNothing(at cursor: inout ReplayCursor, before end: Int) {
        state.withLock { cursor.foundNothing(before: end, in: $0.table) }
    }

    private static func place(of position: Int, in state: inout State) -> (place: Place, following: Int) {
        let (range, page, following) = state.pages.page(at: position)
        return (page.map { .page($0, position: position) } ?? .dropped(range, position: position), following)
    }

    /// How many pages behind the one that is used are there or on their way.
    private static let pagesAhead = 2

    /// Whoever uses a page will want the next: it is asked for while this one is used.
    ///
    /// - Parameter following: how many pages behind the one that is used have been read.
    private static func requestsAhead(_ state: inout State, following: Int) -> [Request] {
        let next = state.position
        guard following < pagesAhead, let end = state.end, next < end, state.hasRoomAhead else { return [] }
        return state.ahead.requests(from: next, towards: end, end: end, most: pagesAhead - following)
    }

    // MARK: What comes in from elsewhere

    /// Takes note of a replay that has come to the end of what a coroutine recorded: effects of it run from here on, and
    /// what comes of them is not to be replayed to it.
    func addLive(_ replay: StreamReplayIndex) {
        state.withLock { state in
            state.live.removeAll { $0.replay == nil }
            state.live.append(WeakReplay(replay: replay))
        }
    }

    /// Takes in events that this journal appended.
    func appended(_ events: some RandomAccessCollection<EventHead>, at first: Int) {
        let live = state.withLock { state in state.live.compactMap(\.replay) }
        for replay in live { replay.appended(events, at: first) }
        extend(events, at: first)
    }

    /// Takes in events that are durable. Where the stream was not read up to them yet, only that they are there; they are
    /// read in their turn.
    func extend(_ events: some RandomAccessCollection<EventHead>, at first: Int) {
        let woken: [Waiter] = state.withLock { state in
            let end = first + events.count
            state.seenEnd = max(state.seenEnd, end)
            guard let known = state.end, end > known else { return [] }
            if first > known { state.heads.forget() }
            let isRead = state.isRead && first <= known
            for (event, position) in zip(events, first...) where position >= known {
                state.heads.add(event.kind, of: event.coroutineID, at: position)
                if isRead { state.table.add(event.kind, of: event.coroutineID, at: position) }
            }
            if isRead {
                state.pages.extend(by: end - known, most: journal.configuration.pageSize)
                // A page asked for before holds them too, if it has not come.
                state.ahead.forget()
            }
            state.end = end
            return Self.takeWaiters(&state)
        }
        for waiter in woken { waiter.progress.set(.success(())) }
    }

    /// The waiters whose target has been reached.
    static func takeWaiters(_ state: inout State) -> [Waiter] {
        guard !state.waiters.isEmpty else { return [] }
        let (position, isRead) = (state.position, state.isRead)
        let woken = state.waiters.filter { $0.target <= position || isRead }
        state.waiters.removeAll { $0.target <= position || isRead }
        return woken
    }
}
