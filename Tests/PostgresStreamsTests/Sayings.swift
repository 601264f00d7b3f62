import Logging
import Synchronization
import Testing

/// What the library said, by errors and by the log.
final class Sayings: Sendable {
    private let texts = Mutex<[String]>([])
    private let lines = Mutex<[(level: Logger.Level, message: String)]>([])

    var all: [String] { texts.withLock { $0 } }

    /// The log alone.
    var logged: [(level: Logger.Level, message: String)] { lines.withLock { $0 } }

    var logger: Logger {
        var logger = Logger(label: "secrets") { [self] _ in Handler(sayings: self) }
        logger.logLevel = .trace
        return logger
    }

    /// In each form that somebody may print.
    func note(_ value: Any) {
        var dumped = ""
        dump(value, to: &dumped)
        texts.withLock { $0 += ["\(value)", String(reflecting: value), dumped] }
    }

    func noteError<R>(_ body: () async throws -> R) async {
        do {
            _ = try await body()
            Issue.record("nothing was thrown")
        } catch {
            note(error)
        }
    }

    private struct Handler: LogHandler {
        let sayings: Sayings
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = "\(event.message) \(event.metadata ?? [:])"
            sayings.lines.withLock { $0.append((event.level, line)) }
            sayings.note(line)
        }
    }
}
