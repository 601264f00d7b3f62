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
            row.figures[index].value = BenchmarkFigures.median(rows.map { $0.figures[index].value }) ?? .nan
        }
        return row
    }

    /// Measures `rounds` slices of a floor and of ours, forward and backward by turns; see `medians`.
    static func inTurn(
        _ rounds: Int,
        ratiosOf names: [String],
        floor: () async throws -> TailBenchmarkRow,
        ours: () async throws -> TailBenchmarkRow
    ) async throws -> [TailBenchmarkRow] {
        var floors: [TailBenchmarkRow] = []
        var our: [TailBenchmarkRow] = []
        for round in 0..<rounds {
            if round.isMultiple(of: 2) { floors.append(try await floor()) }
            our.append(try await ours())
            if !round.isMultiple(of: 2) { floors.append(try await floor()) }
        }
        return medians(floors, our, ratiosOf: names)
    }

    /// A floor's row and ours, each of medians; ours with the medians of the ratios within a round.
    static func medians(
        _ floors: [TailBenchmarkRow],
        _ ours: [TailBenchmarkRow],
        ratiosOf names: [String]
    ) -> [TailBenchmarkRow] {
        var our = median(ours)
        our.figures += names.map { name in
            (name + "Ratio", BenchmarkFigures.median(zip(ours, floors).map { $0[name] / $1[name] }) ?? .nan)
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
