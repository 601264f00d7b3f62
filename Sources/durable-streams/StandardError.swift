import Foundation
import Logging

/// Where everything goes that is not data: messages for people, each a line of its own.
enum StandardError {
    static func say(_ message: String) { writeLine("durable-streams: \(message.printable)") }

    /// One `write` a line, so that lines of several processes on one terminal do not mix.
    static func writeLine(_ line: String) {
        var bytes = Array(line.utf8)[...]
        bytes.append(UInt8(ascii: "\n"))
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // Nobody can be told that nobody can be told.
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}

/// The library's log on stderr, in the tool's own form: no date, no label, metadata as `key=value`.
struct StandardErrorLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .warning

    /// Messages that are said otherwise.
    private var unsaid: Set<String> = []

    static func logger(_ level: Logger.Level, without unsaid: Set<String> = []) -> Logger {
        var logger = Logger(label: "durable-streams") { _ in
            var log = StandardErrorLog()
            log.unsaid = unsaid
            return log
        }
        logger.logLevel = level
        return logger
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        guard !unsaid.contains("\(event.message)") else { return }
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        StandardError.say("\(event.level): \(event.message)\(details)")
    }
}
