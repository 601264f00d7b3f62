import ArgumentParser
import Foundation
import PostgresStreams

/// The other processes of `bench append`. Hidden: only that starts them.
///
/// It says `ready` once its journal is open. For each line on stdin, a number of seconds, it appends for so long and
/// answers with lines of `samples`, in microseconds, and `done` with the time it took in seconds.
struct AppendBenchmarkWriterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "append-writer",
        abstract: "Appends for `bench append`, which starts it.",
        shouldDisplay: false
    )

    @OptionGroup var connection: ConnectionOptions

    @Option var writers: Int

    func run() async throws {
        // Whoever started it may be killed, and its appends are nothing to anybody then.
        Task {
            await Output.standard.readerGone()
            _exit(ExitStatus.outputFailed.rawValue)
        }
        var configuration = connection.configuration
        configuration.writerConnections = JournalConfiguration().writerConnections
        let rounds = LineReader(0, limits: .init(lineBytes: 100)) { line, number in
            guard let seconds = Double(String(decoding: line, as: UTF8.self)) else {
                throw LineError(number: number, reason: "it is no number of seconds")
            }
            return seconds
        }
        try await withJournal(configuration) { journal in
            try await say("ready")
            while let batch = try await rounds.next() {
                for seconds in batch {
                    let benchmark = AppendBenchmark(configuration: configuration, seconds: seconds)
                    let streams = try AppendBenchmark.newStreams(writers)
                    let measured = try await benchmark.samples(journal, writers: writers, to: streams)
                    for start in stride(from: 0, to: measured.samples.count, by: 1000) {
                        let part = measured.samples[start..<min(start + 1000, measured.samples.count)]
                        try await say("samples " + part.map { "\($0)" }.joined(separator: " "))
                    }
                    try await say("done \(measured.elapsed)")
                }
            }
        }
        try await Output.standard.finish()
    }

    private func say(_ line: String) async throws { try await Output.standard.write(Array("\(line)\n".utf8)) }
}
