/// One of several things that are measured in turn, a slice of each at a time, so that what disturbs the machine disturbs
/// all of them alike.
struct BenchmarkTurn {
    var name: String
    /// Which of the others it is held against, by its place among them; nil: it is a floor.
    var floor: Int?
    var measure: () async throws -> BenchmarkFigures

    init(_ name: String, against floor: Int? = nil, _ measure: @escaping () async throws -> BenchmarkFigures) {
        (self.name, self.floor, self.measure) = (name, floor, measure)
    }

    /// Measures `rounds` slices of each, forward and backward by turns. A row has the medians; its ratios are the medians
    /// of those within a round.
    static func rows(_ turns: [BenchmarkTurn], rounds: Int) async throws -> [BenchmarkRow] {
        var slices = [[BenchmarkFigures]](repeating: [], count: turns.count)
        for round in 0..<rounds {
            for index in round.isMultiple(of: 2) ? Array(turns.indices) : turns.indices.reversed() {
                slices[index].append(try await turns[index].measure())
            }
        }
        return turns.indices.map { index in
            var row = BenchmarkRow(name: turns[index].name, figures: .median(slices[index]))
            if let floor = turns[index].floor {
                let pairs = Array(zip(slices[index], slices[floor]))
                row.ratio = BenchmarkFigures.median(pairs.map { $0.perSecond / $1.perSecond })
                row.p50Ratio = BenchmarkFigures.median(
                    pairs.compactMap { ours, floor in ours.p50.flatMap { p50 in floor.p50.map { p50 / $0 } } }
                )
            }
            return row
        }
    }
}
