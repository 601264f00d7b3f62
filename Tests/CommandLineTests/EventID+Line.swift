import Foundation
import StreamHistory

extension EventID {
    /// Of an event whose coroutine is named for it; nil for any other.
    init?(line: String) {
        struct Event: Decodable { var coroutineId: String }
        guard let event = try? JSONDecoder().decode(Event.self, from: Data(line.utf8)) else { return nil }
        self.init(event.coroutineId)
    }
}
