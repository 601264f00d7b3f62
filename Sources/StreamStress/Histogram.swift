/// Durations, each to within 7 %: 16 buckets for each doubling, from a microsecond to an hour.
package struct Histogram: Sendable {
    private var buckets = [Int](repeating: 0, count: 33 * 16)
    package private(set) var count = 0
    package private(set) var longest = Duration.zero

    package init() {}

    package mutating func add(_ time: Duration) {
        let microseconds = max(1, UInt64(max(0, time / .microseconds(1))))
        let exponent = 63 - microseconds.leadingZeroBitCount
        // The four bits behind the first.
        let fraction =
            exponent >= 4
            ? Int(microseconds >> UInt64(exponent - 4)) & 15 : Int(microseconds << UInt64(4 - exponent)) & 15
        buckets[min(exponent * 16 + fraction, buckets.count - 1)] += 1
        count += 1
        longest = max(longest, time)
    }

    /// The duration that `share` of all did not exceed; nil where there are none.
    package func quantile(_ share: Double) -> Duration? {
        guard count > 0 else { return nil }
        var left = Int((Double(count) * share).rounded(.up))
        for (index, bucket) in buckets.enumerated() {
            left -= bucket
            guard left <= 0 else { continue }
            let bound = Double(UInt64(1) << UInt64(index / 16)) * (1 + Double(index % 16 + 1) / 16)
            return min(longest, .microseconds(Int64(bound)))
        }
        return longest
    }
}
