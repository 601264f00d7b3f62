/// The earliest of the times it is told of: for timers, which are set so often that they make no arrays.
struct Earliest {
    private(set) var time: ContinuousClock.Instant?

    mutating func consider(_ other: ContinuousClock.Instant?) {
        guard let other else { return }
        time = time.map { min($0, other) } ?? other
    }
}
