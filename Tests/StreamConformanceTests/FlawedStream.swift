import Synchronization
import TisynStreams

/// A stream of a ``FlawedBackend``, as one writer has it.
final class FlawedStream: DurableStream {
    let name: String
    let process: FlawedProcess
    private let backend: FlawedBackend
    private let epoch: Int?
    private let acknowledged = Mutex<[DurableEvent]>([])
    private let buffer = ReusedBuffer()

    init(backend: FlawedBackend, name: String, process: FlawedProcess, epoch: Int? = nil) {
        self.backend = backend
        self.name = name
        self.process = process
        self.epoch = epoch
    }

    func append(_ event: DurableEvent) async throws -> Int {
        switch backend.flaw {
        case .recordsWhatWasUnderWay where epoch == nil:
            // It looks whether it may, and records later.
            if backend.withLog(of: self, { $0.isFenced(nil) }) { throw FlawedLog.Refused() }
            return await recordOnceRead(event)
        case .losesWhatWasUnderWay where epoch == nil:
            if backend.withLog(of: self, { $0.isFenced(nil) }) { throw FlawedLog.Refused() }
            await untilRead()
            return (try? record([event])) ?? 0
        case .acknowledgesBeforeRecording: break
        default: return try record([event])
        }
        let position = try await readAll().count
        acknowledged.withLock { $0.append(event) }
        return position
    }

    func readAll() async throws -> [DurableEvent] {
        let late = acknowledged.withLock { late in
            defer { late = [] }
            return late
        }
        if !late.isEmpty { _ = try record(late) }
        let found = backend.withLog(of: self) { log in
            log.readCount += 1
            return log.events
        }
        return switch backend.flaw {
        case .trustsItsMemory: backend.log(name).events
        case .beginsWithAHeader: [.close("header", .ok(nil))] + found
        case .hidesTheLast: found.dropLast(found.count % 2)
        case .readsOnePage: Array(found.prefix(1_000))
        case .mistakesCoroutine: found.map { DurableEvent(trusting: $0.json, kind: $0.kind, coroutineID: "other") }
        case .reusesItsBuffer: buffer.fill(with: found)
        default: found
        }
    }

    func record(_ events: [DurableEvent], expecting position: Int? = nil) throws -> Int {
        try backend.withLog(of: self) { log throws(FlawedLog.Refused) in
            try log.append(events, epoch: epoch, expecting: position, by: process)
        }
    }

    /// Records, whoever has claimed meanwhile, once somebody has read: after a claim, what was there when that was made.
    private func recordOnceRead(_ event: DurableEvent) async -> Int {
        let count = backend.withLog(of: self) { $0.readCount }
        while true {
            let position: Int? = backend.withLog(of: self) { log in
                guard Task.isCancelled || log.readCount > max(count, log.readCountAtClaim) else { return nil }
                log.events.append(event)
                return log.events.count - 1
            }
            if let position { return position }
            await Task.yield()
        }
    }

    /// Waits until somebody has read.
    func untilRead() async {
        let count = backend.withLog(of: self) { $0.readCount }
        while !Task.isCancelled, backend.withLog(of: self, { $0.readCount }) == count { await Task.yield() }
    }
}

/// Memory that every read fills anew, while the events of the read before still point to it.
///
/// `@unchecked Sendable`: it is written and read by the one task that runs the check.
private final class ReusedBuffer: @unchecked Sendable {
    // Owned: freed in `deinit`.
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 1)

    deinit { memory.deallocate() }

    func fill(with events: [DurableEvent]) -> [DurableEvent] {
        var free = memory[...]
        // From the end on, so that what is read later lies where something else lay before.
        return events.reversed().map { event in
            event.json.withUTF8Bytes { bytes in
                let place = UnsafeMutableRawBufferPointer(rebasing: free.prefix(bytes.count))
                free = free.dropFirst(bytes.count)
                place.copyMemory(from: bytes)
                let text = JSONText(trusting: UnsafeRawBufferPointer(place), owner: self)
                return DurableEvent(trusting: text, kind: event.kind, coroutineID: event.coroutineID)
            }
        }.reversed()
    }
}
