import Foundation

/// A moment that processes of one machine can compare, in nanoseconds: how the demo measures from one to another.
struct MonotonicTime: Sendable, Codable {
    let nanoseconds: Int

    static var now: MonotonicTime {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(nanoseconds: Int(time.tv_sec) * 1_000_000_000 + Int(time.tv_nsec))
    }

    /// Milliseconds since `other`; negative where that came later.
    func milliseconds(since other: MonotonicTime) -> Double { Double(nanoseconds - other.nanoseconds) / 1e6 }
}
