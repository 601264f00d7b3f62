/// Checks one stream of a history against each law.
struct StreamCheck {
    let stream: Int
    /// What it held at the end.
    let end: [EventID?]
    var appends: [History.Append]
    var claims: [History.Claim]
    /// Which may have raised the epoch, to nobody knows what.
    let unansweredClaims: [History.Claim]
    let tails: [History.Tail]
    let reads: [History.Read]
    /// When a standby took over that may have been behind; nil: never.
    let failover: ClosedRange<Int>?
    /// Where each event stands, the first time.
    let places: [EventID: Int]
    /// When the append of each began.
    private let begins: [EventID: Int]

    init(
        stream: Int,
        end: [EventID?],
        appends: [History.Append],
        claims: [History.Claim],
        unansweredClaims: [History.Claim],
        tails: [History.Tail],
        reads: [History.Read],
        failover: ClosedRange<Int>? = nil
    ) {
        self.stream = stream
        self.end = end
        self.appends = appends
        self.claims = claims
        self.unansweredClaims = unansweredClaims
        self.tails = tails
        self.reads = reads
        self.failover = failover
        var places: [EventID: Int] = [:]
        places.reserveCapacity(end.count)
        for (position, event) in end.enumerated() {
            if let event, places[event] == nil { places[event] = position }
        }
        self.places = places
        var begins: [EventID: Int] = [:]
        if !claims.isEmpty {
            for append in appends { for id in append.ids { begins[id] = append.began } }
        }
        self.begins = begins
    }

    func violations() -> [Violation] {
        let eras = eras
        let acknowledged = eras.last?.acknowledgedEnds
        return contents() + appends.flatMap(append) + losses() + order() + refusals() + claims.flatMap(claim)
            + eras.flatMap { $0.fences() + $0.risingClaims() } + tails.flatMap(tail)
            + reads.flatMap { reading($0, acknowledged: acknowledged) }
    }

    func violation(_ law: Violation.Law, _ details: String) -> Violation {
        Violation(law: law, stream: stream, details: details)
    }

    private static func text(_ event: EventID?) -> String { event.map(\.description) ?? "an event of nobody's" }

    // MARK: What is there

    private func contents() -> [Violation] {
        var known: Set<EventID> = []
        for append in appends { known.formUnion(append.ids) }
        var found: [Violation] = []
        for (position, event) in end.enumerated() {
            guard let event, known.contains(event) else {
                found.append(violation(.noStrangers, "position \(position) holds \(Self.text(event))"))
                continue
            }
            if let first = places[event], first != position {
                found.append(violation(.onceAtMost, "\(event) stands at \(first) and at \(position)"))
            }
        }
        return found
    }

    private func append(_ append: History.Append) -> [Violation] {
        var found: [Violation] = []
        let positions = append.ids.map { places[$0] }
        let first = positions[0]
        if let first, !positions.indices.allSatisfy({ positions[$0] == first + $0 }) {
            found.append(violation(.wholeBatches, "the batch of \(append.first) is torn: \(positions)"))
        } else if first == nil, positions.contains(where: { $0 != nil }) {
            found.append(violation(.wholeBatches, "the batch of \(append.first) is there without its beginning"))
        }
        switch append.outcome {
        case .unknown: break
        case .acknowledged(let position):
            if first != position, !(first == nil && mayBeLost(append)) {
                let there = first.map { "stands at \($0)" } ?? "is not there"
                found.append(
                    violation(.acknowledgedIsThere, "\(append.first), acknowledged at \(position), \(there)")
                )
            }
            if let expecting = append.expecting, expecting != position {
                found.append(
                    violation(.exactPosition, "\(append.first), for \(expecting), was acknowledged at \(position)")
                )
            }
        case .notWritten:
            if let first { found.append(violation(.notWrittenIsAbsent, "\(append.first) stands at \(first)")) }
        case .written:
            if first == nil, !mayBeLost(append) {
                found.append(violation(.writtenIsThere, "\(append.first) is not there"))
            }
        }
        return found
    }

    // MARK: Order

    private var present: [(position: Int, append: History.Append)] {
        appends.compactMap { append in places[append.first].map { ($0, append) } }.sorted { $0.0 < $1.0 }
    }

    private func order() -> [Violation] {
        var found: [Violation] = []
        var latest: (began: Int, append: History.Append)?
        for (position, append) in present {
            if let latest, append.ended < latest.began {
                found.append(
                    violation(
                        .ordered,
                        "\(append.first) was acknowledged before \(latest.append.first) was appended, and stands "
                            + "behind it, at \(position)"
                    )
                )
            }
            if append.began > latest?.began ?? .min { latest = (append.began, append) }
        }
        return found
    }

    // MARK: Claims

    private func fences() -> [Violation] {
        guard !claims.isEmpty else { return [] }
        // The highest epoch that was claimed at or below a position, and before a moment.
        let byPosition = HighWaterMark(claims.map { (tick: $0.position, value: $0.epoch) })
        let byTime = HighWaterMark(claims.map { (tick: $0.ended, value: $0.epoch) })
        let positions = Dictionary(claims.map { ($0.epoch, $0.position) }) { first, _ in first }
        var found: [Violation] = []
        for (position, append) in present {
            let epoch = Int(append.epoch)
            if let claimed = byPosition.before(position + 1), claimed > epoch {
                found.append(
                    violation(.fenced, "\(append.first) of epoch \(epoch) stands at \(position), past claim \(claimed)")
                )
            }
            if let claimed = positions[epoch], position < claimed {
                found.append(
                    violation(
                        .claimsRise,
                        "\(append.first) of epoch \(epoch) stands at \(position), before its claim at \(claimed)"
                    )
                )
            }
        }
        for append in appends {
            guard case .acknowledged = append.outcome, let claimed = byTime.before(append.began),
                claimed > append.epoch
            else { continue }
            found.append(
                violation(
                    .fenced,
                    "\(append.first) of epoch \(append.epoch), appended after claim \(claimed), was acknowledged"
                )
            )
        }
        return found
    }

    /// Who was told of a claim, and of what claim. With a failover no more is known: epochs may be lost and given again.
    private func refusals() -> [Violation] {
        guard failover == nil else { return [] }
        let begun = HighWaterMark(
            claims.map { (tick: $0.began, value: $0.epoch) } + unansweredClaims.map { (tick: $0.began, value: .max) }
        )
        return appends.compactMap { append in
            guard append.refusal == .fenced, begun.before(append.returned) ?? .min <= append.epoch else { return nil }
            return violation(
                .refusedForAReason,
                "\(append.first) of epoch \(append.epoch) was fenced, though nobody had claimed a higher one"
            )
        }
    }

    /// A claim's position is the stream's end, as it was while the claim was under way.
    private func claim(_ claim: History.Claim) -> [Violation] {
        // Which server answered one that began before the failover is not known.
        if let failover, claim.began <= failover.upperBound { return [] }
        if failover == nil, claim.position < claim.shown {
            return [
                violation(
                    .claimsRise,
                    "claim \(claim.epoch) was answered position \(claim.position), when a reader had been shown \(claim.shown)"
                )
            ]
        }
        let isReached =
            claim.position <= end.count
            && (claim.position == 0
                || end[claim.position - 1].flatMap { begins[$0] }.map { $0 < claim.ended } ?? true)
        if isReached { return [] }
        return [
            violation(
                .claimsRise,
                "claim \(claim.epoch) was answered position \(claim.position), when nobody had appended so much"
            )
        ]
    }

    private func risingClaims() -> [Violation] {
        guard !claims.isEmpty else { return [] }
        var found: [Violation] = []
        let epochs = HighWaterMark(claims.map { (tick: $0.ended, value: $0.epoch) })
        let acknowledged = acknowledgedEnds
        var seen: Set<Int> = []
        for claim in claims {
            if !seen.insert(claim.epoch).inserted {
                found.append(violation(.claimsRise, "two claims were answered epoch \(claim.epoch)"))
            }
            if let earlier = epochs.before(claim.began), earlier >= claim.epoch {
                found.append(violation(.claimsRise, "claim \(claim.epoch) began after claim \(earlier) had returned"))
            }
            if let end = acknowledged.before(claim.began), end > claim.position {
                found.append(
                    violation(
                        .claimsRise,
                        "claim \(claim.epoch) was answered position \(claim.position), with \(end) acknowledged before"
                    )
                )
            }
        }
        return found
    }

    /// How many events had been acknowledged, by when.
    private var acknowledgedEnds: HighWaterMark {
        HighWaterMark(
            appends.compactMap { append in
                guard case .acknowledged(let position) = append.outcome, append.ended != .max else { return nil }
                return (tick: append.ended, value: position + Int(append.count))
            }
        )
    }

    // MARK: Reading

    private func tail(_ tail: History.Tail) -> [Violation] {
        // What it had delivered before is no longer there to compare with.
        if tail.wasReplaced { return [] }
        var found: [Violation] = []
        for (offset, event) in tail.events.enumerated() {
            let position = tail.start + offset
            let there = position < end.count ? end[position] : nil
            guard position >= end.count || event != there else { continue }
            if !tail.isComplete, areLost(tail.events[offset...]) { break }
            let held = position < end.count ? Self.text(there) : "nothing"
            found.append(
                violation(
                    .tailEqualsStream,
                    "a tail delivered \(Self.text(event)) at \(position), where the stream has \(held)"
                )
            )
            break
        }
        if tail.isComplete, !tail.isBroken, tail.start + tail.events.count < end.count {
            found.append(
                violation(
                    .tailEqualsStream,
                    "a tail from \(tail.start) ended after \(tail.events.count) events of \(end.count - tail.start)"
                )
            )
        }
        return found
    }

    private func reading(_ read: History.Read, acknowledged: HighWaterMark?) -> [Violation] {
        var found: [Violation] = []
        if !end.starts(with: read.events) {
            let position = zip(read.events, end).prefix { $0 == $1 }.map { _ in 0 }.count
            if !areLost(read.events[position...]) {
                found.append(violation(.readIsPrefix, "a read differs from the stream from position \(position) on"))
            }
        }
        // By which server one was answered that began before the failover is not known.
        let isOfLastEra = failover.map { read.began > $0.upperBound } ?? true
        if isOfLastEra, let due = acknowledged?.before(read.began), due > read.events.count {
            found.append(
                violation(
                    .readIsPrefix,
                    "a read found \(read.events.count) events, when \(due) had been acknowledged"
                )
            )
        }
        if failover == nil, read.events.count < read.shown {
            found.append(
                violation(
                    .readIsPrefix,
                    "a read found \(read.events.count) events, when a reader had been shown \(read.shown) before"
                )
            )
        }
        return found
    }
}

extension History.Append {
    var ids: [EventID] {
        (0..<Int(count)).map { EventID(writer: Int(first.writer), number: Int(first.number) + $0) }
    }
}
