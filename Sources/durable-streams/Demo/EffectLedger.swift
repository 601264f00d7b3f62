import Foundation

/// The outside world of the demo: a file that says which effects really ran, whatever the journal says.
///
/// The worker adds a line when an effect begins, before anything about it is in the journal; the demo compares the two. A
/// line is there once `add` has returned, even if the worker is killed right after.
struct EffectLedger: Sendable {
    struct Entry: Codable, Sendable {
        /// Which worker: 1 or 2.
        let run: Int
        let coroutine: String
        /// Which of the coroutine's effects, from 0.
        let index: Int
        let effect: String
    }

    let path: String

    func add(_ entry: Entry) throws {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw ToolError(.unavailable, "cannot open the demo's ledger") }
        defer { close(descriptor) }
        let line = try JSONEncoder().encode(entry) + [UInt8(ascii: "\n")]
        guard line.withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count) }) == line.count else {
            throw ToolError(.unavailable, "cannot write to the demo's ledger")
        }
    }

    func entries() throws -> [Entry] {
        guard let text = FileManager.default.contents(atPath: path) else { return [] }
        return try text.split(separator: UInt8(ascii: "\n")).map { try JSONDecoder().decode(Entry.self, from: $0) }
    }
}
