/// What segments take, and how much of that is the way there and back. No IO.
struct Pace {
    /// Of one segment, from sending to answer, averaged over the last few.
    private(set) var roundTrip: Duration = .zero
    /// What the server took for each: without the way, and divided among those that shared the wire.
    private var served: Duration = .zero
    /// The way there and back, as measured when the connection was new.
    var way: Duration = .zero

    /// - Parameters:
    ///   - duration: from sending to answer.
    ///   - shared: how many segments were on the wire when it was sent, itself included.
    mutating func answered(after duration: Duration, sharedBy shared: Int) {
        // Capped: one that had to wait for a lock for long does not make a server slow.
        let service = min(Self.slow * 2, max(.zero, duration - way) / shared)
        served = roundTrip == .zero ? service : Self.average(served, service)
        roundTrip = roundTrip == .zero ? duration : Self.average(roundTrip, duration)
    }

    private static func average(_ before: Duration, _ next: Duration) -> Duration { (before * 7 + next) / 8 }

    /// Whether the server waits for a disk or a standby rather than works: a second segment behind the first would only
    /// halve both.
    var isSlow: Bool { served > Self.slow }

    private static let slow = Duration.microseconds(1500)

    /// Whether the server is idle for most of the time that a segment takes: it can have another meanwhile.
    var isFar: Bool { way * 3 > roundTrip * 2 }
}
