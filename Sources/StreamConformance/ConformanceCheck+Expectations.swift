import Synchronization
import TisynStreams

/// What all checks use: names, made-up events, and expectations that say in words what came instead.
extension ConformanceCheck {
    /// A name no check has used. Random, since a backend can outlive the process and so have seen any count.
    func newName() -> String { "conformance" + String(UInt64.random(in: .min ... .max), radix: 36) }

    /// The event a writer appends as its n-th: different from all others.
    func event(_ number: Int, of writer: String = "w") -> DurableEvent {
        .yield(
            CoroutineID("root.\(writer).\(number)"),
            EffectDescription(type: "conformance", name: "check"),
            number.isMultiple(of: 3) ? .cancelled : .ok(nil)
        )
    }

    func events(_ numbers: Range<Int>, of writer: String = "w") -> [DurableEvent] {
        numbers.map { event($0, of: writer) }
    }

    func expect(_ holds: Bool, _ reason: @autoclosure () -> String) throws {
        guard holds else { throw ConformanceViolation(check: self, reason: reason()) }
    }

    /// Appends, and expects that position.
    func append(_ event: DurableEvent, to stream: some DurableStream, at position: Int) async throws {
        let found = try await stream.append(event)
        try expect(found == position, "the append that should have landed at position \(position) returned \(found)")
    }

    /// Appends these one after the other and expects them from `position` on.
    func append(_ events: [DurableEvent], to stream: some DurableStream, from position: Int = 0) async throws {
        for (offset, event) in events.enumerated() { try await append(event, to: stream, at: position + offset) }
    }

    func expect(_ stream: some DurableStream, holds events: [DurableEvent], _ moment: String) async throws {
        try expect(try await stream.readAll(), are: events, moment)
    }

    /// Says how what was found differs: rewritten, reordered, missing or surplus.
    func expect(_ found: [DurableEvent], are expected: [DurableEvent], _ moment: String) throws {
        guard found != expected else { return }
        let position = zip(found, expected).prefix { $0 == $1 }.count
        let surplus = Self.rest(of: found, without: expected)
        let missing = Self.rest(of: expected, without: found)
        let difference =
            switch (missing.first, surplus.first) {
            case (nil, nil): "the events are in another order"
            case (let event?, nil):
                "\(missing.count) of \(expected.count) events are missing, first \(Self.brief(event))"
            case (nil, let event?) where expected.contains(event):
                "an event is there once more than it was appended: \(Self.brief(event))"
            case (nil, let event?): "there is an event that must not be there: \(Self.brief(event))"
            case (let event?, let other?):
                "an event was replaced or rewritten: there is \(Self.brief(other)) for \(Self.brief(event))"
            }
        throw ConformanceViolation(check: self, reason: "\(moment), from position \(position) on: \(difference)")
    }

    /// Expects `append` to throw.
    func expectRefusal(of what: String, _ append: () async throws -> Int) async throws {
        let position: Int
        do {
            position = try await append()
        } catch {
            return
        }
        throw ConformanceViolation(check: self, reason: "\(what) was acknowledged at position \(position)")
    }

    /// Opens the stream twice, as two processes have it at the same time: what one trusts its memory for, the other changes.
    func withTwo<Backend: StreamBackend, R: Sendable>(
        _ backend: Backend,
        _ body: (_ one: Backend.Stream, _ other: Backend.Stream) async throws -> R
    ) async throws -> R {
        let name = newName()
        return try await backend.withStream(named: name) { one in
            try await backend.withStream(named: name) { other in try await body(one, other) }
        }
    }

    /// Several writers append at once, half of them to each, each waiting for its own. Expects distinct positions without gaps from 0 on, in
    /// each writer's order, and gives the events by position.
    func appendConcurrently(
        to streams: [some DurableStream],
        writers: Int,
        each count: Int
    ) async throws -> [DurableEvent] {
        let landed = try await withThrowingTaskGroup(of: [(position: Int, event: DurableEvent)].self) { group in
            for writer in 0..<writers {
                group.addTask {
                    var landed: [(position: Int, event: DurableEvent)] = []
                    for event in events(0..<count, of: "\(writer)") {
                        landed.append((try await streams[writer % streams.count].append(event), event))
                    }
                    return landed
                }
            }
            var landed: [(position: Int, event: DurableEvent)] = []
            for try await writer in group {
                let isAscending = zip(writer, writer.dropFirst()).allSatisfy { $0.position < $1.position }
                try expect(isAscending, "the positions of a writer that waits for each append do not ascend")
                landed += writer
            }
            return landed.sorted { $0.position < $1.position }
        }
        for (position, append) in landed.enumerated() {
            try expect(
                append.position == position,
                "concurrent appends returned \(append.position) where \(position) was to come: two share a position or "
                    + "there is a gap"
            )
        }
        return landed.map(\.event)
    }

    /// What `events` has more often than `others`.
    private static func rest(of events: [DurableEvent], without others: [DurableEvent]) -> [DurableEvent] {
        var counts: [DurableEvent: Int] = [:]
        for event in others { counts[event, default: 0] += 1 }
        return events.filter { event in
            counts[event, default: 0] -= 1
            return counts[event, default: 0] < 0
        }
    }

    private static func brief(_ event: DurableEvent) -> String {
        let text = event.json.string
        return text.utf8.count <= 300 ? text : "\(text.prefix(300))… (\(text.utf8.count) bytes)"
    }
}

/// Shared by the tasks of a check.
final class Count: Sendable {
    let value = Mutex(0)
}
