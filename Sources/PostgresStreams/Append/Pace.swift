/// What segments take, and how much of that is the way there and back. No IO.
struct Pace {
    /// Of one segment, from sending to answer, averaged over the last few.
    private(set) var roundTrip: Duration = .zero
    /// What the server took for each: without the way, and without what it did for those before; averaged too.
    private var served: Duration = .zero
    /// The way there and back; zero where it was not measured.
    private(set) var way: Duration = .zero

    /// What the way took while the connection was new. `isFirst`: no other is open, which may be to another server.
    mutating func connected(way: Duration, isFirst: Bool = true) { self.way = isFirst ? way : min(way, self.way) }

    /// - Parameter before: when the one before it on this connection was answered; nil where none was.
    mutating func answered(
        sentAt: ContinuousClock.Instant,
        after before: ContinuousClock.Instant?,
        at now: ContinuousClock.Instant
    ) {
        let duration = now - sentAt
        // Measured at a bad moment it would hide what the server takes.
        way = min(way, duration)
        // The server began when it was there, and the one before it was done.
        let begin = max(sentAt + way, before ?? sentAt)
        // Capped: one that had to wait for a lock for long does not make a server slow.
        let service = min(max(Self.slow * 2, served * 4), max(.zero, now - begin))
        served = served == .zero ? service : Self.average(served, service)
        roundTrip = roundTrip == .zero ? duration : Self.average(roundTrip, duration)
    }

    private static func average(_ before: Duration, _ next: Duration) -> Duration { (before * 7 + next) / 8 }

    /// Whether the server waits for a disk or a standby rather than works: a second segment behind the first would only
    /// halve both.
    var isSlow: Bool { served > Self.slow }

    private static let slow = Duration.microseconds(1500)

    /// How many segments keep the server at work: the one it has, and as many as it could do while one is on its way. One
    /// where it is not known what it takes, and where the server is near.
    var window: Int {
        guard way >= Self.near, served > .zero else { return 1 }
        return 1 + Int(min(way / served, Double(Self.mostUnderWay - 1)))
    }

    /// To a server on the same machine 25 to 60 µs were seen.
    private static let near = Duration.microseconds(300)

    /// All of them are in doubt where the connection is lost: so there is an end to it.
    static let mostUnderWay = 8

    /// Whether the server is idle for as long as it works where it has one segment at a time: it can have others meanwhile.
    var isFar: Bool { window > 1 }
}
