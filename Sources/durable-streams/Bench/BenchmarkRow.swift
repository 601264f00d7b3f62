import Foundation

/// One measured row: a floor, or ours beside the floor it is held against.
struct BenchmarkRow: Sendable, BenchmarkOutput {
    var name: String
    var figures: BenchmarkFigures
    /// Ours ÷ the floor's, in events per second.
    var ratio: Double?
    /// Ours ÷ the floor's, in p50.
    var p50Ratio: Double?

    static let header =
        pad("", 48) + ["events/s", "p50 µs", "p99 µs", "cpu µs", "ratio", "p50 ratio"].map { pad($0, -10) }.joined()
        + "\n"

    var line: String {
        func text(_ value: Double?, _ digits: Int) -> String {
            value.map { String(format: "%.\(digits)f", $0) } ?? ""
        }
        let columns = [
            text(figures.perSecond, 0), text(figures.p50, 0), text(figures.p99, 0), text(figures.cpu, 1),
            text(ratio, 2), text(p50Ratio, 2),
        ]
        return Self.pad(name, 48) + columns.map { Self.pad($0, -10) }.joined() + "\n"
    }

    var json: String {
        func text(_ value: Double?, _ digits: Int = 1) -> String {
            value?.json(digits) ?? "null"
        }
        return """
            {"name":"\(name)","appendsPerSecond":\(text(figures.perSecond)),"p50":\(text(figures.p50)),\
            "p99":\(text(figures.p99)),"cpu":\(text(figures.cpu, 2)),"ratio":\(text(ratio, 4)),\
            "p50Ratio":\(text(p50Ratio, 4))}

            """
    }

    /// To the left in `width` columns; to the right where it is negative.
    private static func pad(_ text: String, _ width: Int) -> String {
        let spaces = String(repeating: " ", count: max(0, abs(width) - text.count))
        return width < 0 ? spaces + text : text + spaces
    }
}
