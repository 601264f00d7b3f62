/// How much one read for tails may bring: so many bytes, whatever the events weigh. No IO.
///
/// Less on a link over which so much does not come in time, or every read would be cut short at the same place.
struct TailReadSize {
    private let pageSize: Int
    /// What a read should weigh, in bytes of JSON.
    private var byteCount = full

    private static let full = PageReader.targetByteCount
    private static let least = 32 << 10
    /// How many events a read for several tails may bring.
    private static let mostEvents = 4096
    /// Of events up to this size a page has four times as many: it costs no more memory than one of large events.
    private static let smallEventByteCount = 1024

    init(pageSize: Int) { self.pageSize = pageSize }

    /// Those that follow share a connection with notifications, which wait for the end of an answer.
    func byteCount(of lane: TailRegistry.Lane) -> Int { lane == .following ? byteCount / 8 : byteCount }

    /// How many events to ask for, for each tail. One more than a page: whether it comes says whether there is more. And the
    /// one that is only compared.
    func limits(for queries: [TailRegistry.Query], in lane: TailRegistry.Lane) -> [Int] {
        if queries.count == 1, queries[0].expectsOne { return [2] }
        let share = byteCount(of: lane) / max(1, queries.count)
        return queries.map { query in
            let fourfold = queries.count == 1 && query.eventByteCount <= Self.smallEventByteCount
            let most = fourfold ? 4 * pageSize : pageSize
            let fair = queries.count == 1 ? most : Self.mostEvents / queries.count
            return min(most, fair, max(1, share / query.eventByteCount)) + (query.isCompared ? 2 : 1)
        }
    }

    /// - Parameters:
    ///   - count: how many bytes of JSON came.
    ///   - patience: how long an answer may take before the connection counts as dead.
    mutating func answered(
        _ count: Int,
        in lane: TailRegistry.Lane,
        after duration: Duration,
        within patience: Duration
    ) {
        guard byteCount < Self.full, count >= byteCount(of: lane) / 2, duration < patience / 4 else { return }
        byteCount = min(Self.full, byteCount * 2)
    }

    /// An answer did not come in time.
    mutating func wasLate() { byteCount = max(Self.least, byteCount / 4) }
}
