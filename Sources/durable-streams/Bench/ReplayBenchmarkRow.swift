import Foundation

/// One measured row of `bench replay`.
struct ReplayBenchmarkRow: Sendable {
    var name: String
    /// Of what was measured; of several the median.
    var milliseconds: Double
    var events: Int?
    /// Events per second ÷ those of COPY.
    var ratio: Double?
    /// How much more memory the process occupied at most than before, in bytes.
    var memory: Int?

    var eventsPerSecond: Double? { events.map { Double($0) / milliseconds * 1000 } }

    static let header = pad("", 52) + ["ms", "events/s", "ratio", "MB"].map { pad($0, -12) }.joined() + "\n"

    var line: String {
        let figures = [
            String(format: "%.2f", milliseconds), eventsPerSecond.map { String(format: "%.0f", $0) },
            ratio.map { String(format: "%.2f", $0) }, memory.map { String(format: "%.1f", Double($0) / 1e6) },
        ]
        return Self.pad(name, 52) + figures.map { Self.pad($0 ?? "", -12) }.joined() + "\n"
    }

    var json: String {
        func optional(_ value: Double?, _ format: String) -> String {
            value.map { String(format: format, $0) } ?? "null"
        }
        return """
            {"name":"\(name)","milliseconds":\(String(format: "%.3f", milliseconds)),\
            "events":\(events.map(String.init) ?? "null"),"eventsPerSecond":\(optional(eventsPerSecond, "%.0f")),\
            "ratio":\(optional(ratio, "%.4f")),"memoryBytes":\(memory.map(String.init) ?? "null")}

            """
    }

    /// To the left in `width` columns; to the right where it is negative.
    private static func pad(_ text: String, _ width: Int) -> String {
        let spaces = String(repeating: " ", count: max(0, abs(width) - text.count))
        return width < 0 ? spaces + text : text + spaces
    }
}
