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
        let known = Set(coroutines.map { $0.id.encoded })
        var depths: [String: Int] = [:]
        let named = coroutines.map { coroutine in
            // Parents come first, so that theirs is known.
            let depth = Self.parent(of: coroutine.id.encoded, among: known).map { (depths[$0] ?? 0) + 1 } ?? 0
            depths[coroutine.id.encoded] = depth
            return String(repeating: "  ", count: depth) + coroutine.id.encoded
        }
        // One very long id must not push all others out of sight.
        let nameWidth = min(48, named.map(\.count).max() ?? 0)
        let countWidth = coroutines.map { String($0.yields).count }.max() ?? 1
        return zip(coroutines, named).map { coroutine, name in
            let count = String(coroutine.yields)
            let status = coroutine.status.rawValue
            return name + Self.space(nameWidth - name.count) + "  " + Self.space(countWidth - count.count) + count
                + (coroutine.yields == 1 ? " yield   " : " yields  ") + status
                + (coroutine.lastEffect.map { Self.space(9 - status.count) + "  last: \($0)" } ?? "")
        }
    }

    private static func space(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }

    /// The nearest ancestor that has events.
    private static func parent(of id: String, among known: Set<String>) -> String? {
        var rest = id[...]
        while let dot = rest.lastIndex(of: ".") {
            rest = rest[..<dot]
            if known.contains(String(rest)) { return String(rest) }
        }
        return nil
    }

    private static func path(_ id: CoroutineID) -> [Substring] {
        id.encoded.split(separator: ".", omittingEmptySubsequences: false)
    }

    /// `root.2` before `root.10`: spawn counters are numbers.
    private static func precedes(_ left: [Substring], _ right: [Substring]) -> Bool {
        for (left, right) in zip(left, right) where left != right {
            guard let leftNumber = Int(left), let rightNumber = Int(right), leftNumber != rightNumber else {
                return left < right
            }
            return leftNumber < rightNumber
        }
        return left.count < right.count
    }
}
