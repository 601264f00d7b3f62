import Foundation

/// A reader process of `bench tail`, ours or the floor's, and what it says.
final class TailBenchmarkReader: Sendable {
    struct Report: Sendable {
        /// When each noted event was delivered, in nanoseconds, by stream and position.
        var delivered: [Int: [Int: Int]] = [:]
        var count = 0
        /// When the first tail was opened, in nanoseconds.
        var opened = 0
        /// At the end, and at most, in bytes.
        var memory = 0
        var memoryPeak = 0
    }

    private let process: ToolChildProcess

    init(
        _ benchmark: TailBenchmark,
        prefix: String,
        tails: Int,
        sample: Int = 1,
        polls: Bool = false
    ) async throws {
        let arguments =
            [
                "bench", "tail-reader", "--schema", benchmark.configuration.schema, "--prefix", prefix, "--tails",
                "\(tails)", "--sample", "\(sample)",
            ] + (polls ? ["--polling"] : [])
        process = try await ToolChildProcess(arguments, databaseURL: benchmark.databaseURL)
    }

    /// The floor's, of streams with ids from `firstStream` up.
    init(floorOf benchmark: TailBenchmark, firstStream: Int, tails: Int) async throws {
        let arguments = [
            "bench", "tail-reader-floor", "--schema", benchmark.configuration.schema, "--first-stream=\(firstStream)",
            "--tails", "\(tails)",
        ]
        process = try await ToolChildProcess(arguments, databaseURL: benchmark.databaseURL, input: .lines)
    }

    /// Tells the floor's how many events there are.
    func expect(_ count: Int) { process.write(line: "\(count)") }

    /// Waits until every tail has had its first event and hears.
    ///
    /// - Returns: the memory without the tails and with them, in bytes; of ours.
    @discardableResult
    func ready() async throws -> (base: Int, ready: Int) {
        var base = 0
        while let lines = try await process.lines.next() {
            for line in lines {
                let words = Self.words(line)
                let memory = words.last.flatMap { Int($0) } ?? 0
                if words.first == "base" { base = memory }
                if words.first == "ready" { return (base, memory) }
            }
        }
        throw BenchmarkError(description: "the reader ended before it was ready: \(await process.end)")
    }

    /// Waits until all tails have ended.
    func report() async throws -> Report {
        var report = Report()
        while let lines = try await process.lines.next() {
            for line in lines {
                let words = Self.words(line)
                let numbers = words.dropFirst().compactMap { Int($0) }
                switch words.first {
                case "opened": report.opened = numbers[0]
                case "memory": (report.memory, report.memoryPeak) = (numbers[0], numbers[1])
                case "event": report.delivered[numbers[0], default: [:]][numbers[1]] = numbers[2]
                case "done":
                    report.count = numbers[0]
                    return report
                default: break
                }
            }
        }
        throw BenchmarkError(description: "the reader ended early: \(await process.end)")
    }

    func kill() { process.kill() }

    private static func words(_ line: ToolChildProcess.Line) -> [Substring] {
        String(decoding: line.text, as: UTF8.self).split(separator: " ")
    }
}
