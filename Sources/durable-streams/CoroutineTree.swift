import TisynStreams

/// The human form of `replay`: children below their parents, by spawn counter, indented by depth.
///
///     root        2 yields   ok      last: email.send
///       root.0    3 yields   ok      last: courier.book
///       root.1    3 yields   open    last: payment.charge
///
/// A coroutine belongs below another when its id is that one's, a dot and more (contract §1). Ids that follow no such rule
/// stand at the left.
struct CoroutineTree {
    private let coroutines: [CoroutineSummary]

    init(_ coroutines: [CoroutineSummary]) {
        self.coroutines = coroutines.map { ($0, Self.path($0.id)) }
            .sorted { Self.precedes($0.1, $1.1) }.map(\.0)
    }

    var lines: [String] {
        guard !coroutines.isEmpty else { return [] }
        // Those that have events and that the one before is below, itself included: what is below another comes behind it.
        var ancestors: [String] = []
        let named = coroutines.map { coroutine in
            let id = coroutine.id.encoded
            while let last = ancestors.last, !id.utf8.starts(with: (last + ".").utf8) { ancestors.removeLast() }
            defer { ancestors.append(id) }
            return String(repeating: "  ", count: ancestors.count) + id.printable
        }
        // One very long id must not push all others out of sight.
        let nameWidth = min(48, named.map(\.count).max() ?? 0)
        let countWidth = coroutines.map { String($0.yields).count }.max() ?? 1
        return zip(coroutines, named).map { coroutine, name in
            let count = String(coroutine.yields)
            let status = coroutine.status.rawValue
            return name + Self.space(nameWidth - name.count) + "  " + Self.space(countWidth - count.count) + count
                + (coroutine.yields == 1 ? " yield   " : " yields  ") + status
                + (coroutine.lastEffect.map { Self.space(9 - status.count) + "  last: \($0.printable)" } ?? "")
        }
    }

    private static func space(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }

    private static func path(_ id: CoroutineID) -> [Substring] {
        id.encoded.split(separator: ".", omittingEmptySubsequences: false)
    }

    /// `root.2` before `root.10`: spawn counters are numbers. What is none comes behind them. By bytes: Swift's own comparison
    /// takes different ids for the same (contract §1), and then a child would not stand behind its parent.
    private static func precedes(_ left: [Substring], _ right: [Substring]) -> Bool {
        for (left, right) in zip(left, right) where !left.utf8.elementsEqual(right.utf8) {
            switch (Int(left), Int(right)) {
            case (let left?, let right?) where left != right: return left < right
            case (nil, _?): return false
            case (_?, nil): return true
            default: return left.utf8.lexicographicallyPrecedes(right.utf8)
            }
        }
        return left.count < right.count
    }
}
