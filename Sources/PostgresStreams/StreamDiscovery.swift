import LibPQ
import Synchronization

/// Finds the streams that one tail of all streams is to follow: those there are, and each new one once it is committed.
///
/// Streams have ascending ids, and an id may become visible after a higher one. So a scan begins at a floor below which
/// every id is settled: it was seen, or its transaction has ended without it.
///
///     scan 1   sees ids up to m, while transactions up to x are under way     floor
///     scan 2   finds all of those ended: what they left at or below m is seen   ↓
///     scan 3   begins above m                                                   m
///
/// (A server process that is stopped between taking an id and taking its transaction's number, for as long as two scans
/// take, could be passed over. Nothing but a debugger does that.)
final class StreamDiscovery: Sendable {
    typealias Found = @Sendable ([(name: StreamName, cursor: Int)]) -> Void

    private struct State {
        /// Of all streams seen; of those that do not begin with the prefix too, or every hint at one would start a scan.
        var digests: Set<UInt64> = []
        var floor = 0
        /// The ids seen above the floor.
        var seen: Set<Int> = []
        /// Of the scan under way: where its next page begins, and the highest id it saw.
        var position = 0
        /// Of the last whole scan: the highest id it saw, and the first transaction that had not begun then.
        var lastScan: (highest: Int, nextTransaction: Int)?
        /// Of this scan: the oldest transaction under way at its beginning, and the first that had not begun at its end.
        var horizon: (oldest: Int, next: Int)?
        var isFirstScan = true
        var isScanning = false
        var scansAgain = false
    }

    private let state = Mutex(State())
    private let reader: Requester
    private let statement: Statement
    private let prefix: String
    private let start: TailStart
    private let found: Found

    private static let pageSize = 5000

    init(_ reader: Requester, _ statement: Statement, prefix: String, from start: TailStart, found: @escaping Found) {
        self.reader = reader
        self.statement = statement
        self.prefix = prefix
        self.start = start
        self.found = found
    }

    /// A notification named streams of which the registry does not know one: perhaps it is new.
    func scan(for digests: HintPayload) {
        let isNews = state.withLock { state in digests.contains { !state.digests.contains($0) } }
        if isNews { scan() }
    }

    /// Looks for new streams; once more where a look is under way, which may have been too early.
    func scan() {
        let begins: Bool = state.withLock { state in
            guard !state.isScanning else {
                state.scansAgain = true
                return false
            }
            state.isScanning = true
            state.position = state.floor
            state.horizon = nil
            return true
        }
        if begins { ask() }
    }

    private func ask() {
        let (position, isFirst) = state.withLock { ($0.position, $0.isFirstScan) }
        var parameters = Parameters()
        parameters.append(position)
        parameters.append(Self.pageSize)
        // Only streams that are there when the tail begins can have an end to begin at.
        parameters.append(isFirst && start == .end)
        reader.send(statement, parameters) { [weak self] in self?.answered($0) }
    }

    private func answered(_ result: Result<QueryResult, JournalError>) {
        guard case .success(let result) = result else {
            // Refused or closed. The next look tries again.
            return state.withLock { $0.isScanning = false }
        }
        let rows: [(id: Int, name: StreamName, next: Int)] = (0..<result.rowCount).compactMap { row in
            guard let id = result.integer(row: row, column: 2) else { return nil }
            return (
                id, StreamName(trusting: result.text(row: row, column: 3)), result.integer(row: row, column: 4) ?? 0
            )
        }
        let isLast = rows.count < Self.pageSize
        let (new, scansAgain): ([(name: StreamName, cursor: Int)], Bool) = state.withLock { state in
            if let oldest = result.integer(row: 0, column: 0), let next = result.integer(row: 0, column: 1) {
                state.horizon = (state.horizon?.oldest ?? oldest, next)
            }
            let unseen = rows.filter { state.seen.insert($0.id).inserted }
            for row in unseen { state.digests.insert(row.name.digest) }
            let new = unseen.filter { begins($0.name) }.map {
                (name: $0.name, cursor: cursor(end: $0.next, isFirst: state.isFirstScan))
            }
            state.position = rows.last?.id ?? state.position
            guard isLast else { return (new, false) }
            finish(&state)
            defer { state.scansAgain = false }
            return (new, state.scansAgain)
        }
        if !new.isEmpty { found(new) }
        if !isLast { ask() } else if scansAgain { scan() }
    }

    private func finish(_ state: inout State) {
        state.isScanning = false
        state.isFirstScan = false
        guard let horizon = state.horizon else { return }
        if let last = state.lastScan, horizon.oldest < last.nextTransaction { return }
        if let last = state.lastScan, last.highest > state.floor {
            state.floor = last.highest
            state.seen = state.seen.filter { $0 > last.highest }
        }
        state.lastScan = (state.position, horizon.next)
    }

    private func begins(_ name: StreamName) -> Bool { name.text.utf8.starts(with: prefix.utf8) }

    private func cursor(end: Int, isFirst: Bool) -> Int {
        switch start {
        case .start: 0
        case .position(let position): min(max(0, position), PostgresStream.greatestPosition)
        case .end: isFirst ? end : 0
        }
    }
}
