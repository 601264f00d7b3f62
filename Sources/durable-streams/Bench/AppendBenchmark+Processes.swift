import PostgresStreams

/// Two processes that share a database, beside one with all the writers.
extension AppendBenchmark {
    /// All of them are processes of their own: what differs is how many there are.
    func processes() async throws -> [BenchmarkRow] {
        var all: [AppendBenchmarkWriter] = []
        defer { for process in all { process.end() } }
        for count in [writers, writers / 2, writers / 2] {
            all.append(try await AppendBenchmarkWriter(configuration, writers: count))
        }
        for process in all { try await process.ready() }
        let (one, two) = (Array(all[..<1]), Array(all[1...]))
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
