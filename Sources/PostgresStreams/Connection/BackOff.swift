/// How long to wait before the next attempt: at once at first, then up to twice as long each time, at most 5 s, and by
/// chance, so that the clients of a server that comes back do not come back together.
struct BackOff {
    private var failures = 0

    mutating func failed() { failures += 1 }

    var delay: Duration {
        guard failures > 0 else { return .zero }
        let bound = min(5_000, 25 << min(failures, 10))
        return .milliseconds(Int.random(in: (bound / 2)...bound))
    }
}
