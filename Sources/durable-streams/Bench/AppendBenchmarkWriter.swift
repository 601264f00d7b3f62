import PostgresStreams

/// A writer process of `bench append`, and what it says.
struct AppendBenchmarkWriter: Sendable {
    struct Report: Sendable {
        /// In microseconds.
        var samples: [Double] = []
        /// In seconds; of several processes the longest.
        var elapsed = 0.0

        mutating func add(_ other: Report) {
            samples += other.samples
            elapsed = max(elapsed, other.elapsed)
        }
    }

    private let process: ToolChildProcess

    init(_ configuration: JournalConfiguration, writers: Int) async throws {
        process = try await ToolChildProcess(
            ["bench", "append-writer", "--schema", configuration.schema, "--writers", "\(writers)"],
            databaseURL: configuration.databaseURL,
            input: .lines
        )
    }

    /// Waits until its journal is open.
    func ready() async throws {
        try await read { words in words.first == "ready" }
    }

    /// Lets it append for so long.
    func start(seconds: Double) { process.write(line: "\(seconds)") }

    func report() async throws -> Report {
        var report = Report()
        try await read { words in
            switch words.first {
            case "samples": report.samples += words.dropFirst().compactMap { Double($0) }
            case "done": report.elapsed = words.dropFirst().first.flatMap { Double($0) } ?? 0
            default: break
            }
            return words.first == "done"
        }
        return report
    }

    func end() { process.kill() }

    /// Reads lines until `isLast` says so.
    private func read(_ isLast: ([Substring]) -> Bool) async throws {
        while let lines = try await process.lines.next() {
            for line in lines where isLast(String(decoding: line.text, as: UTF8.self).split(separator: " ")) { return }
        }
        throw BenchmarkError(description: "a writer process ended early: \(await process.end)")
    }
}
