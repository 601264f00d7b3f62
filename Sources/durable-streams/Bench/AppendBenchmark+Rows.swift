import PostgresStreams

/// Rows of one process: each of ours in turn with the floors it is held against.
extension AppendBenchmark {
    /// One writer against (a).
    func single() async throws -> [BenchmarkRow] {
        try await withJournal(configuration) { journal in
            try await rows([
                BenchmarkTurn("floor (a): INSERT × 1 connection") { try await insert(writers: 1) },
                BenchmarkTurn("1 writer", against: 0) {
                    try await append(journal, writers: 1, to: Self.newStreams(1))
                },
                BenchmarkTurn("1 writer on the journal's thread", against: 0) {
                    try await appendOnThread(of: journal, writers: 1, to: Self.newStreams(1))
                },
            ])
        }
    }

    /// Many writers against (b), and (a) to compare.
    func manyWriters() async throws -> [BenchmarkRow] {
        try await withJournal(configuration) { journal in
            try await rows([
                BenchmarkTurn("floor (a): INSERT × \(writers) connections") { try await insert(writers: writers) },
                BenchmarkTurn("floor (b): INSERT of 64") { try await insertBatches() },
                BenchmarkTurn(writersName, against: 1) {
                    try await append(journal, writers: writers, to: Self.newStreams(streams))
                },
                BenchmarkTurn(writersName + ", on the journal's thread", against: 1) {
                    try await appendOnThread(of: journal, writers: writers, to: Self.newStreams(streams))
                },
            ])
        }
    }

    /// Many writers that append at random times, so that what counts is how long each waits, against (a).
    func paced(rate: Double) async throws -> [BenchmarkRow] {
        try await withJournal(configuration) { journal in
            let pace = ", \(Int(rate))/s at random"
            return try await rows([
                BenchmarkTurn("floor (a): \(writers) connections" + pace) {
                    try await insert(writers: writers, rate: rate)
                },
                BenchmarkTurn(writersName + pace, against: 0) {
                    try await append(journal, writers: writers, to: Self.newStreams(streams), rate: rate)
                },
            ])
        }
    }

    /// Many writers while every stream is tailed, against the same without.
    func tailed() async throws -> [BenchmarkRow] {
        try await withJournal(configuration) { journal in
            try await rows([
                BenchmarkTurn(writersName + ", not tailed") {
                    try await append(journal, writers: writers, to: Self.newStreams(streams))
                },
                BenchmarkTurn(writersName + ", all tailed", against: 0) {
                    try await appendTailed(journal, writers: writers, to: Self.newStreams(streams))
                },
            ])
        }
    }

    /// One writer's batches of 1,000 against (b).
    func batches() async throws -> [BenchmarkRow] {
        try await withJournal(configuration) { journal in
            try await rows([
                BenchmarkTurn("floor (b): INSERT of 64, 1 stream") { try await insertBatches(toOneStream: true) },
                BenchmarkTurn("1 writer, batches of 1000", against: 0) {
                    try await appendBatches(journal, of: 1000)
                },
            ])
        }
    }

    var writersName: String { "\(writers) writers on \(streams) streams" }

    func rows(_ turns: [BenchmarkTurn]) async throws -> [BenchmarkRow] {
        try await BenchmarkTurn.rows(turns, rounds: rounds)
    }
}
