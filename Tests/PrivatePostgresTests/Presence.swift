import Foundation

/// Whether processes and files are still there.
enum Presence {
    static func ofProcess(_ id: Int32) -> Bool { kill(id, 0) == 0 }

    static func ofFile(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    /// Returns when the file is gone; the suite's time limit bounds the wait. There is no event to wait for: whoever
    /// could send one is gone too.
    static func end(ofFile path: String) async {
        while ofFile(path) { await Task.yield() }
    }
}
