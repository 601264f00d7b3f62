import Foundation

/// What one slice of a measurement came to.
struct BenchmarkFigures: Sendable {
    var perSecond: Double
    /// Of one call, in microseconds; nil where no single calls were measured.
    var p50: Double?
    var p99: Double?
    /// What this process spent on one event, in microseconds of processor time, its kernel's included.
    var cpu: Double?

    init(perSecond: Double, p50: Double? = nil, p99: Double? = nil, cpu: Double? = nil) {
        (self.perSecond, self.p50, self.p99, self.cpu) = (perSecond, p50, p99, cpu)
    }

    /// - Parameter samples: what each call took, in microseconds, in any order.
    init(events: Int, elapsed: Double, samples: [Double], cpu: Double? = nil) throws {
        guard !samples.isEmpty else { throw BenchmarkError(description: "nothing was appended in time") }
        let sorted = samples.sorted()
        self.init(
            perSecond: Double(events) / elapsed,
            p50: sorted[sorted.count / 2],
            p99: sorted[sorted.count * 99 / 100],
            cpu: cpu.map { $0 / Double(events) }
        )
    }

    /// Each figure's own.
    static func median(_ slices: [BenchmarkFigures]) -> BenchmarkFigures {
        BenchmarkFigures(
            perSecond: median(slices.map(\.perSecond)) ?? .nan,
            p50: median(slices.compactMap(\.p50)),
            p99: median(slices.compactMap(\.p99)),
            cpu: median(slices.compactMap(\.cpu))
        )
    }

    static func mean(_ one: BenchmarkFigures, _ other: BenchmarkFigures) -> BenchmarkFigures {
        func mean(_ values: [Double?]) -> Double? {
            let values = values.compactMap { $0 }
            return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
        }
        return BenchmarkFigures(
            perSecond: (one.perSecond + other.perSecond) / 2,
            p50: mean([one.p50, other.p50]),
            p99: mean([one.p99, other.p99]),
            cpu: mean([one.cpu, other.cpu])
        )
    }

    /// The middle one, or the mean of the two middle ones; nil of nothing.
    static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let upper = sorted[sorted.count / 2]
        return sorted.count.isMultiple(of: 2) ? (sorted[sorted.count / 2 - 1] + upper) / 2 : upper
    }

    /// Processor time of this process so far, in microseconds.
    static func processorTime() -> Double {
        var usage = rusage()
        // `RUSAGE_SELF` is 0 everywhere; its type differs.
        getrusage(.init(0), &usage)
        func microseconds(_ time: timeval) -> Double { Double(time.tv_sec) * 1e6 + Double(time.tv_usec) }
        return microseconds(usage.ru_utime) + microseconds(usage.ru_stime)
    }
}
