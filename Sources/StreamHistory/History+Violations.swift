extension History {
    /// What the history breaks, each thing once, and of each law at most so many: a fault that shows at every read must
    /// not leave another without a place. Empty for a good one.
    package func violations(ofEach limit: Int = 10) -> [Violation] {
        var found = immediate
        let byStream = Dictionary(grouping: appends) { Int($0.stream) }
        for stream in Set(ends.keys).union(byStream.keys).sorted() {
            let check = StreamCheck(
                stream: stream,
                end: ends[stream] ?? [],
                appends: byStream[stream] ?? [],
                claims: claims.filter { $0.stream == stream && $0.ended != .max },
                unansweredClaims: claims.filter { $0.stream == stream && $0.ended == .max },
                tails: tails.filter { $0.stream == stream },
                reads: reads.filter { $0.stream == stream && $0.isFinished },
                failover: failover
            )
            found += check.violations()
        }
        var seen: Set<Violation> = []
        var counts: [Violation.Law: Int] = [:]
        return found.filter { violation in
            guard counts[violation.law, default: 0] < limit, seen.insert(violation).inserted else { return false }
            counts[violation.law, default: 0] += 1
            return true
        }
    }
}

/// A largest value so far, by tick: what was the highest among those that came before a moment.
struct HighWaterMark {
    private var ticks: [Int] = []
    private var values: [Int] = []

    /// - Parameter pairs: in any order.
    init(_ pairs: some Sequence<(tick: Int, value: Int)>) {
        var highest = Int.min
        for (tick, value) in pairs.sorted(by: { $0.tick < $1.tick }) {
            highest = max(highest, value)
            ticks.append(tick)
            values.append(highest)
        }
    }

    /// The highest of those before `tick`; nil where there are none.
    func before(_ tick: Int) -> Int? {
        var (low, high) = (0, ticks.count)
        while low < high {
            let middle = (low + high) / 2
            if ticks[middle] < tick { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : values[low - 1]
    }
}
