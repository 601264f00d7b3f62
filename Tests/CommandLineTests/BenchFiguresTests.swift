import Testing

@testable import durable_streams

@Suite("bench: figures and settings")
struct BenchFiguresTests {
    @Test("the median of an even number of rounds lies between the two in the middle")
    func median() {
        #expect(BenchmarkFigures.median([4, 1, 3, 2]) == 2.5)
        #expect(BenchmarkFigures.median([3, 1, 2]) == 2)
        #expect(BenchmarkFigures.median([]) == nil)
        let rows = [1.0, 2].map { TailBenchmarkRow(name: "row", figures: [("p50", $0)]) }
        #expect(TailBenchmarkRow.median(rows)["p50"] == 1.5)
        let medians = TailBenchmarkRow.medians(rows, rows.reversed(), ratiosOf: ["p50"])
        #expect(medians[1]["p50Ratio"] == 1.25)
    }

    @Test(
        "settings are added to what a connection string has of its own",
        arguments: [
            ("postgres://h/db", "postgres://h/db?options=%2Dc%20a%3D1"),
            ("postgresql://h/db?user=u", "postgresql://h/db?user=u&options=%2Dc%20a%3D1"),
            ("postgres://h/db?options=-c%20b%3D2", "&options=%2Dc%20b%3D2%20%2Dc%20a%3D1"),
            ("host=h password=x://y", "host=h password=x://y options='-c a=1'"),
            ("host=h options='-c b=\\'2'", "options='-c b=\\'2 -c a=1'"),
        ]
    )
    func settings(url: String, end: String) {
        #expect(AppendBenchmark.url(url, with: ["a": "1"]).hasSuffix(end))
    }
}
