import StreamHistory
import TisynStreams

/// The events of a run. What one holds follows from its id, so that whoever reads it knows whether it was altered.
enum StressEvent {
    /// Who writes the last event of each stream, the root's close; its number is the stream's.
    static let closer = -1

    static func make(_ id: EventID) -> DurableEvent {
        if id.writer == closer {
            return .close(.root, .ok(.string(JSONString(id.description))))
        }
        let effect = EffectDescription(
            type: "stress",
            name: JSONString(names[Int(id.number.magnitude) % names.count]),
            input: .string(JSONString(filler(id))),
            sha: nil
        )
        return .yield(CoroutineID(id.description), effect, .ok(nil))
    }

    /// The id of an event as it should be; nil for any other.
    static func id(of event: DurableEvent) -> EventID? {
        let id: EventID?
        if event.kind == .close {
            guard case .ok(let value?) = try? event.result() else { return nil }
            id = EventID(value.string.replacing("\"", with: ""))
        } else {
            id = EventID(event.coroutineID.encoded)
        }
        guard let id, make(id) == event else { return nil }
        return id
    }

    private static let names = ["charge", "naïve", "a\"b\\c", "\u{1F4A5}", "line\nfeed", "\u{0}nul"]

    /// Mostly a few hundred bytes, now and then more than what ends a page of reading.
    private static func filler(_ id: EventID) -> String {
        let mixed = UInt64(bitPattern: Int64(id.number)) &* 0x9E37_79B9_7F4A_7C15 >> 40
        let count = mixed % 997 == 0 ? 40_000 : Int(mixed % 400)
        return String(repeating: "x", count: count)
    }
}
