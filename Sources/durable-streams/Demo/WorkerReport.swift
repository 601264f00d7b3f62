import Foundation
import TisynStreams

/// What the demo's worker tells the demo: a line of JSON on its stdout each.
enum WorkerReport: Sendable, Codable {
    /// The stream is the worker's; events below `position` are there to be replayed.
    case claimed(epoch: Int, position: Int)
    /// An effect's result came out of the journal.
    case replayed(coroutine: String, effect: String)
    /// An effect begins.
    case started(coroutine: String, effect: String)
    /// An event is durable; `at` is when the worker was told so.
    case recorded(position: Int, at: MonotonicTime)

    init(_ line: ToolChildProcess.Line) throws { self = try JSONDecoder().decode(Self.self, from: Data(line.text)) }

    var line: [UInt8] {
        get throws { try Array(JSONEncoder().encode(self)) + [UInt8(ascii: "\n")] }
    }
}
