import Synchronization

/// What a journal knows of each coroutine: its yields in order, how many were replayed, and its close (contract §3).
///
/// A value: built from a stream's events, owned by whoever replays them, extended when the stream grows. It keeps the
/// events as text and parses an entry when it is asked for, and once while the cursor stays. It runs nothing and stores
/// nothing.
///
/// Example: `var index = ReplayIndex(try await stream.readAll())`, then `try index.match(effect, in: id)` per effect.
public struct ReplayIndex: Sendable {
    private struct Coroutine {
        var yields: [DurableEvent] = []
        var close: DurableEvent?
        var parsed = ParsedEntry()
    }

    /// The entry of a coroutine that was asked for last. Copies of an index share it until one of them gets another yield.
    private final class ParsedEntry: Sendable {
        private let last = Mutex<(ordinal: Int, entry: YieldEntry)?>(nil)

        func entry(at ordinal: Int, of yields: [DurableEvent]) throws(EventError) -> YieldEntry? {
            if let last = last.withLock({ $0 }), last.ordinal == ordinal { return last.entry }
            guard let entry = try yields[ordinal].yieldEntry() else { return nil }
            last.withLock { $0 = (ordinal, entry) }
            return entry
        }
    }

    /// The coroutines that have events, in the order of their first.
    public private(set) var coroutineIDs: [CoroutineID] = []

    /// Parallel to `coroutineIDs`; `slots` finds a coroutine in both.
    private var coroutines: [Coroutine] = []
    private var slots: [CoroutineID: Int] = [:]

    /// Apart from `coroutines`, since a cursor can move in a coroutine that has no events yet.
    private var cursors: [CoroutineID: Int] = [:]

    /// How many events the index was built from.
    public private(set) var eventCount = 0

    /// Indexes events in the order of their stream, every cursor at 0.
    public init(_ events: some Sequence<DurableEvent>) {
        extend(with: events)
    }

    /// An index of an empty stream.
    public init() {}

    /// Adds the events that follow in the stream. Cursors stay where they are, so that these events are replayed: for who
    /// follows an execution. Who runs one goes on from ``match(_:in:rule:)`` to the next and leaves its own events out.
    public mutating func extend(with events: some Sequence<DurableEvent>) {
        for event in events {
            eventCount += 1
            let slot = slot(of: event.coroutineID)
            switch event.kind {
            case .yield:
                if !isKnownUniquelyReferenced(&coroutines[slot].parsed) { coroutines[slot].parsed = ParsedEntry() }
                coroutines[slot].yields.append(event)
            case .close: coroutines[slot].close = event
            }
        }
    }

    private mutating func slot(of id: CoroutineID) -> Int {
        if let slot = slots[id] { return slot }
        slots[id] = coroutines.count
        coroutineIDs.append(id)
        coroutines.append(Coroutine())
        return coroutines.count - 1
    }

    /// The recorded yield at the coroutine's cursor; nothing past the end. `peekYield(id)` in the contract.
    ///
    /// Throws ``EventError`` only if the event came out of a journal somebody else wrote wrongly.
    public func peekYield(_ id: CoroutineID) throws(EventError) -> YieldEntry? {
        guard let slot = slots[id] else { return nil }
        let cursor = cursor(of: id)
        guard cursor < coroutines[slot].yields.count else { return nil }
        return try coroutines[slot].parsed.entry(at: cursor, of: coroutines[slot].yields)
    }

    /// Moves the coroutine's cursor one on, past the end too. `consumeYield(id)` in the contract.
    public mutating func consumeYield(_ id: CoroutineID) {
        cursors[id, default: 0] += 1
    }

    /// How many yields of the coroutine were consumed; 0 for one never heard of. `getCursor(id)` in the contract.
    public func cursor(of id: CoroutineID) -> Int {
        cursors[id] ?? 0
    }

    /// Whether the coroutine closed. `hasClose(id)` in the contract.
    public func hasClose(_ id: CoroutineID) -> Bool {
        close(of: id) != nil
    }

    /// The coroutine's close, the last if there are several. `getClose(id)` in the contract.
    public func close(of id: CoroutineID) -> DurableEvent? {
        slots[id].flatMap { coroutines[$0].close }
    }

    /// How many yields of the coroutine are recorded.
    public func yieldCount(of id: CoroutineID) -> Int {
        slots[id].map { coroutines[$0].yields.count } ?? 0
    }

    /// Decides whether `current`, about to run in coroutine `id`, is replayed or runs (contract §3). If it is replayed,
    /// the coroutine's cursor moves one on.
    ///
    /// Throws ``Divergence`` if the journal disagrees, and ``EventError`` as ``peekYield(_:)`` does; either leaves the
    /// index unchanged.
    public mutating func match(
        _ current: EffectDescription,
        in id: CoroutineID,
        rule: MatchingRule = .payload
    ) throws -> Match {
        let match = try Matching.match(
            current,
            in: id,
            at: cursor(of: id),
            entry: peekYield(id),
            isClosed: hasClose(id),
            rule: rule
        )
        if case .replay = match { consumeYield(id) }
        return match
    }
}
