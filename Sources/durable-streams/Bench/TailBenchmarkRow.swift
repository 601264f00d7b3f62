import Foundation

/// One measured row of `bench tail`: figures by name, in order.
struct TailBenchmarkRow: Sendable, BenchmarkOutput {
    var name: String
    var figures: [(name: String, value: Double)]

    subscript(_ name: String) -> Double { figures.first { $0.name == name }?.value ?? .nan }

    /// Each figure's median over several runs of the same row.
    static func median(_ rows: [TailBenchmarkRow]) -> TailBenchmarkRow {
        guard var row = rows.first else { return TailBenchmarkRow(name: "", figures: []) }
        for index in row.figures.indices {
            let values = rows.map { $0.figures[index].value }.sorted()
            row.figures[index].value = values[values.count / 2]
        }
        return row
    }

    /// A floor's row and ours, each of medians; ours with the medians of the ratios within a round.
    static func medians(
        _ floors: [TailBenchmarkRow],
        _ ours: [TailBenchmarkRow],
        ratiosOf names: [String]
    ) -> [TailBenchmarkRow] {
        var our = median(ours)
        our.figures += names.map { name in
            let ratios = zip(ours, floors).map { $0[name] / $1[name] }.sorted()
            return (name + "Ratio", ratios[ratios.count / 2])
        }
        return [median(floors), our]
    }

    var line: String {
        let figures = figures.map { "\($0.name) \(Self.text($0.value))" }.joined(separator: "  ")
        return name + "\n    " + figures + "\n"
    }

    var json: String {
        let figures = figures.map { ",\"\($0.name)\":\($0.value.isFinite ? Self.text($0.value) : "null")" }.joined()
        return "{\"name\":\"\(name)\"\(figures)}\n"
    }

    private static func text(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15
            ? "\(Int(value))" : String(format: abs(value) < 10 ? "%.3f" : "%.1f", value)
    }
}
