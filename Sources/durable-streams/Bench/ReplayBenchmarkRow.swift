import Foundation

/// One measured row of `bench replay`.
struct ReplayBenchmarkRow: Sendable {
    var name: String
    /// Of a single question, the median of several.
    var milliseconds: Double?
    /// Of a whole stream.
    var eventsPerSecond: Double?
    /// What this process spent on one event, in microseconds of processor time.
    var cpu: Double?
    /// Events per second ÷ those of COPY.
    var ratio: Double?
    /// How much more memory the process occupied at most than before, in bytes.
    var memory: Int?

    static let header = pad("", 44) + ["ms", "events/s", "cpu µs", "ratio", "MB"].map { pad($0, -11) }.joined() + "\n"

    var line: String {
        let figures = [
            milliseconds.map { String(format: "%.2f", $0) }, eventsPerSecond.map { String(format: "%.0f", $0) },
            cpu.map { String(format: "%.2f", $0) }, ratio.map { String(format: "%.2f", $0) }, memory.map { String(format: "%.1f", Double($0) / 1e6) },
        ]
        return Self.pad(name, 44) + figures.map { Self.pad($0 ?? "", -11) }.joined() + "\n"
    }

    var json: String {
        func optional(_ value: Double?, _ format: String) -> String {
            value.map { String(format: format, $0) } ?? "null"
        }
        return """
            {"name":"\(name)","milliseconds":\(optional(milliseconds, "%.3f")),\
            "eventsPerSecond":\(optional(eventsPerSecond, "%.0f")),"cpu":\(optional(cpu, "%.2f")),"ratio":\(optional(ratio, "%.4f")),"memoryBytes":\(memory.map(String.init) ?? "null")}

            """
    }

    /// To the left in `width` columns; to the right where it is negative.
    private static func pad(_ text: String, _ width: Int) -> String {
        let spaces = String(repeating: " ", count: max(0, abs(width) - text.count))
        return width < 0 ? spaces + text : text + spaces
    }
}

extension ReplayBenchmarkRow {
    init(_ row: BenchmarkRow) {
        self.init(name: row.name, eventsPerSecond: row.figures.perSecond, cpu: row.figures.cpu, ratio: row.ratio)
    }
}
