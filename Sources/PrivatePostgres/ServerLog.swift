import Foundation

/// The log file of a private server, which `initdb` writes first. Read for error messages only.
enum ServerLog {
    /// The last 20 lines, of at most the last 8 KiB; empty if there is no file. Blocks for the read.
    static func tail(of path: String) -> String {
        guard let file = FileHandle(forReadingAtPath: path) else { return "" }
        defer { try? file.close() }
        guard let end = try? file.seekToEnd() else { return "" }
        try? file.seek(toOffset: end > 8192 ? end - 8192 : 0)
        let bytes = (try? file.readToEnd()) ?? Data()
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").suffix(20).joined(separator: "\n")
    }
}
