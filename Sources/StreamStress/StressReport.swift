import StreamHistory

/// What a run did, and what it found.
package struct StressReport: Sendable {
    package var server: String
    package var plan: StressPlan
    package var duration: Duration
    package var counts: [String: Int]
    package var disruptions: [String: Int]
    /// The longest that each kind of disruption took, and each part of the settling at the end.
    package var longest: [String: Duration]
    package var latencies: Histogram
    /// The longest time in which no append was acknowledged.
    package var longestSilence: Duration
    package var violations: [Violation]
    /// The last things that happened, in order.
    package var trace: [String]

    package var events: Int { counts["events acknowledged"] ?? 0 }

    package var isClean: Bool { violations.isEmpty }
}
