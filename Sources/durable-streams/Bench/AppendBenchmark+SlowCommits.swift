import Foundation
import LibPQFloor
import PostgresStreams

/// Many writers where a commit takes 2 ms, as on a disk or in a cloud that needs so long.
extension AppendBenchmark {
    /// By the server's `commit_delay`, which makes whoever flushes wait first; with `commit_siblings` at 0 always.
    static let slowCommits = ["commit_delay": "2000", "commit_siblings": "0"]

    func slow() async throws -> [BenchmarkRow] {
        var configuration = configuration
        configuration.databaseURL = Self.url(configuration.databaseURL, with: Self.slowCommits)
        let slow = AppendBenchmark(
            configuration: configuration,
            writers: writers,
            streams: streams,
            seconds: seconds,
            rounds: rounds
        )
        let rows = try await withJournal(configuration) { journal in
            try await slow.rows([
                BenchmarkTurn("2 ms commits, floor (a): INSERT × 1 connection") { try await slow.insert(writers: 1) },
                BenchmarkTurn("2 ms commits, floor (b): INSERT of 64") { try await slow.insertBatches() },
                BenchmarkTurn("2 ms commits, \(writersName)", against: 1) {
                    try await slow.append(journal, writers: writers, to: Self.newStreams(streams))
                },
            ])
        }
        guard let p50 = rows[0].figures.p50, p50 >= 2000 else {
            throw BenchmarkError(description: "commit_delay has no effect on this server, so nothing was slow")
        }
        return rows
    }

    /// The same server with these settings for each session. Only a superuser may make commits slow.
    ///
    /// Of several `options` the last counts, for libpq: it has those of `url`, else of PGOPTIONS, too.
    static func url(_ url: String, with settings: [String: String]) -> String {
        let given = String(cString: floor_options(url))
        let others = given.isEmpty ? ProcessInfo.processInfo.environment["PGOPTIONS"] ?? "" : given
        let added = settings.sorted { $0.key < $1.key }.map { "-c \($0.key)=\($0.value)" }
        let options = ([others] + added).filter { !$0.isEmpty }.joined(separator: " ")
        guard url.hasPrefix("postgres://") || url.hasPrefix("postgresql://") else {
            let quoted = options.replacing("\\", with: "\\\\").replacing("'", with: "\\'")
            return "\(url) options='\(quoted)'"
        }
        let escaped = options.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
        return url + (url.contains("?") ? "&" : "?") + "options=\(escaped)"
    }
}
