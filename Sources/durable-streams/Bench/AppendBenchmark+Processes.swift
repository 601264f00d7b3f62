import PostgresStreams

/// Two processes that share a database, beside one with all the writers.
extension AppendBenchmark {
    /// All of them are processes of their own: what differs is how many there are.
    func processes() async throws -> [BenchmarkRow] {
        let one = [try AppendBenchmarkWriter(configuration, writers: writers)]
        defer { for process in one { process.end() } }
        let two = try (0..<2).map { _ in try AppendBenchmarkWriter(configuration, writers: writers / 2) }
        defer { for process in two { process.end() } }
        for process in one + two { try await process.ready() }
        return try await rows([
            BenchmarkTurn("1 process with \(writers) writers") { try await measure(one) },
            BenchmarkTurn("2 processes with \(writers / 2) each", against: 0) { try await measure(two) },
        ])
    }

    private func measure(_ processes: [AppendBenchmarkWriter]) async throws -> BenchmarkFigures {
        for process in processes { process.start(seconds: seconds) }
        var sum = AppendBenchmarkWriter.Report()
        for process in processes { sum.add(try await process.report()) }
        return try BenchmarkFigures(events: sum.samples.count, elapsed: sum.elapsed, samples: sum.samples)
    }
}
