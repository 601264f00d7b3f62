import Foundation

/// One measured row: a floor, or ours beside the floor it is held against.
struct BenchmarkRow: Sendable {
    var name: String
    var eventsPerSecond: Double
    /// Of one call, in microseconds.
    var p50: Double
    var p99: Double
    /// What this process spent on one event, in microseconds of processor time, its kernel's included.
    var cpu: Double
    /// Ours ÷ the floor's, in events per second.
    var ratio: Double?
    /// Ours ÷ the floor's, in p50.
    var p50Ratio: Double?

    static let header =
        pad("", 44) + ["events/s", "p50 µs", "p99 µs", "cpu µs", "ratio", "p50 ratio"].map { pad($0, -10) }.joined()
        + "\n"

    var line: String {
        let ratios = [ratio, p50Ratio].map { $0.map { String(format: "%.2f", $0) } ?? "" }
        let figures = [eventsPerSecond, p50, p99].map { String(format: "%.0f", $0) } + [String(format: "%.1f", cpu)]
        return Self.pad(name, 44) + (figures + ratios).map { Self.pad($0, -10) }.joined() + "\n"
    }

    var json: String {
        func optional(_ value: Double?) -> String { value.map { String(format: "%.4f", $0) } ?? "null" }
        return """
            {"name":"\(name)","appendsPerSecond":\(String(format: "%.1f", eventsPerSecond)),\
            "p50":\(String(format: "%.1f", p50)),"p99":\(String(format: "%.1f", p99)),"cpu":\(String(format: "%.2f", cpu)),\
            "ratio":\(optional(ratio)),"p50Ratio":\(optional(p50Ratio))}

            """
    }

    /// Processor time of this process so far, in microseconds.
    static func processorTime() -> Double {
        var usage = rusage()
        _ = getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func microseconds(_ time: timeval) -> Double { Double(time.tv_sec) * 1e6 + Double(time.tv_usec) }
        return microseconds(usage.ru_utime) + microseconds(usage.ru_stime)
    }

    /// To the left in `width` columns; to the right where it is negative.
    private static func pad(_ text: String, _ width: Int) -> String {
        let spaces = String(repeating: " ", count: max(0, abs(width) - text.count))
        return width < 0 ? spaces + text : text + spaces
    }
}
