import Synchronization
import TisynStreams

/// The streams of a journal that are being replayed, so that replays of one stream share what was read of it, and are told
/// of what is appended to it. Keeps none of them alive.
final class StreamIndexRegistry: Sendable {
    private struct Entry {
        let number: Int
        weak var index: StreamIndex?
    }

    private struct State {
        var entries: [StreamName: Entry] = [:]
        var lastNumber = 0
        var unresolved = UnresolvedAppends()
    }

    // No reference to an index is let go of under the lock: it may be the last, and the end of an index comes here.
    private let state = Mutex(State())

    func index(of stream: PostgresStream) -> StreamIndex {
        state.withLock { state in
            if let index = state.entries[stream.name]?.index { return index }
            state.lastNumber += 1
            let index = StreamIndex(journal: stream.journal, name: stream.name, number: state.lastNumber)
            state.entries[stream.name] = Entry(number: index.number, index: index)
            return index
        }
    }

    /// Tells the stream's index, if there is one, of events that this journal appended.
    func appended(_ events: some RandomAccessCollection<DurableEvent>, to name: StreamName, at first: Int) {
        existing(name)?.appended(events.lazy.map(EventHead.init), at: first)
    }

    /// Tells the stream's index, if there is one, of events that a tail delivered.
    func delivered(_ events: some RandomAccessCollection<DurableEvent>, of name: StreamName, at first: Int) {
        existing(name)?.extend(events.lazy.map(EventHead.init), at: first)
    }

    /// This journal appended these, and does not know whether they were written.
    ///
    /// - Parameter error: what their caller is told; with an unknown outcome it has a receipt.
    func failed(_ appends: [(events: [DurableEvent], name: StreamName, position: Int?)], _ error: JournalError) {
        guard error.outcome == .unknown, let receipt = error.receipt else { return }
        let parts = appends.filter { existing($0.name) != nil }.map { events, name, position in
            UnresolvedAppends.Part(stream: name, position: position, events: events.map(EventHead.init))
        }
        guard !parts.isEmpty else { return }
        state.withLock { $0.unresolved.add(parts, by: receipt) }
    }

    /// What became of such an append was found out.
    func resolved(_ receipt: AppendReceipt, _ resolution: AppendResolution) {
        switch resolution {
        case .notWrittenYet: break
        case .notWritten: state.withLock { _ = $0.unresolved.remove(receipt) }
        case .written(let position):
            for part in state.withLock({ $0.unresolved.remove(receipt) }) {
                existing(part.stream)?.appended(part.events, at: part.position ?? position)
            }
        }
    }

    private func existing(_ name: StreamName) -> StreamIndex? {
        state.withLock { state in state.entries.isEmpty ? nil : state.entries[name]?.index }
    }

    /// That index has ended, or is not to be had any more: whoever asks from here on gets a new one.
    func remove(_ name: StreamName, _ number: Int) {
        state.withLock { state in
            if state.entries[name]?.number == number { state.entries[name] = nil }
        }
    }
}
