import Foundation

/// One measured row of `bench replay`.
struct ReplayBenchmarkRow: Sendable, BenchmarkOutput {
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
        func text(_ value: Double?, _ digits: Int) -> String? { value.map { String(format: "%.\(digits)f", $0) } }
        let figures = [
            text(milliseconds, 2), text(eventsPerSecond, 0), text(cpu, 2), text(ratio, 2),
            text(memory.map { Double($0) / 1e6 }, 1),
        ]
        return Self.pad(name, 44) + figures.map { Self.pad($0 ?? "", -11) }.joined() + "\n"
    }

    var json: String {
        func text(_ value: Double?, _ digits: Int) -> String {
            value?.json(digits) ?? "null"
        }
        return """
            {"name":"\(name)","milliseconds":\(text(milliseconds, 3)),\
            "eventsPerSecond":\(text(eventsPerSecond, 0)),"cpu":\(text(cpu, 2)),"ratio":\(text(ratio, 4)),\
            "memoryBytes":\(memory.map(String.init) ?? "null")}

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
