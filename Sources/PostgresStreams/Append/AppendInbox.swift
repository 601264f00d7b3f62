import Synchronization

/// Appends that were called and that nobody has looked at yet.
///
/// Many writers are answered together and so append again together. If each took the appender's lock, all but one would
/// wait for it, and with fewer cores than threads for a thread that is not even running. So they leave their append here,
/// under a lock that is held for some nanoseconds, and whoever has the appender's lock takes all that is there.
final class AppendInbox: Sendable {
    struct Entry: Sendable {
        var append: Append
        var ticket: Ticket
    }

    private let entries = Mutex<[Entry]>([])

    func put(_ entry: Entry) { entries.withLock { $0.append(entry) } }

    var isEmpty: Bool { entries.withLock { $0.isEmpty } }

    /// All that is here, in the order it came.
    func take() -> [Entry] {
        entries.withLock { entries in
            guard !entries.isEmpty else { return [] }
            var taken: [Entry] = []
            taken.reserveCapacity(entries.count)
            swap(&taken, &entries)
            return taken
        }
    }
}
