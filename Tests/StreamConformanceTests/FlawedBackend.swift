import StreamConformance
import Synchronization
import TisynStreams

/// Streams in memory that can all there is, and do one thing wrong; without a flaw they keep every promise.
final class FlawedBackend: StreamBackend {
    let flaw: Flaw?
    private let logs = Mutex<[String: FlawedLog]>([:])

    init(_ flaw: Flaw? = nil) { self.flaw = flaw }

    func withStream<R: Sendable>(named name: String, _ body: (FlawedStream) async throws -> R) async throws -> R {
        let name = flaw == .mixesStreams ? "all" : name
        let stream = FlawedStream(backend: self, name: name, process: FlawedProcess(remembering: log(name)))
        let result = try await body(stream)
        withLog(of: stream) { log in
            if flaw == .losesTheLastOnReopening { _ = log.events.popLast() }
            if flaw == .forgetsTheClaim { log.epoch = 0 }
        }
        return result
    }

    func withLog<R: Sendable, Failure: Error>(
        of stream: FlawedStream,
        _ body: (inout FlawedLog) throws(Failure) -> R
    ) throws(Failure) -> R {
        guard flaw == .trustsItsMemory else {
            return try logs.withLock { logs throws(Failure) in
                try body(&logs[stream.name, default: FlawedLog(flaw: flaw)])
            }
        }
        return try stream.process.log.withLock { log throws(Failure) in
            let known = log.events.count
            defer { write(log, from: known, to: stream.name) }
            return try body(&log)
        }
    }

    /// What is there, whatever anybody remembers.
    func log(_ name: String) -> FlawedLog { logs.withLock { $0[name] ?? FlawedLog(flaw: flaw) } }

    /// Over whatever is there.
    private func write(_ remembered: FlawedLog, from known: Int, to name: String) {
        logs.withLock { logs in
            var log = logs[name] ?? FlawedLog(flaw: flaw)
            let (before, behind) = (log.events.prefix(known), log.events.dropFirst(remembered.events.count))
            log.events = Array(before + remembered.events[known...] + behind)
            log.epoch = remembered.epoch
            logs[name] = log
        }
    }
}

extension FlawedBackend: BatchAppending {
    func append(contentsOf events: [DurableEvent], to stream: FlawedStream) async throws -> Range<Int> {
        guard flaw != .tearsTheBatch else {
            let first = try stream.record(Array(events.prefix(3)))
            await stream.untilRead()
            _ = try stream.record(Array(events.dropFirst(3)))
            return first..<(first + events.count)
        }
        let first = try stream.record(events)
        return first..<(first + (flaw == .mistakesTheBatch ? 1 : events.count))
    }
}

extension FlawedBackend: PositionExpecting {
    func append(_ event: DurableEvent, to stream: FlawedStream, expecting position: Int) async throws -> Int {
        try stream.record([event], expecting: position) + (flaw == .mistakesTheExpected ? 1 : 0)
    }
}

extension FlawedBackend: Tailing {
    func tail(_ stream: FlawedStream, from position: Int) -> AsyncStream<DurableEvent> {
        let (events, continuation) = AsyncStream.makeStream(of: DurableEvent.self)
        if flaw == .tailTakesAnEventAlong {
            continuation.onTermination = { _ in self.withLog(of: stream) { $0.takesNext = true } }
        }
        withLog(of: stream) {
            $0.addTail(from: flaw == .tailIgnoresItsStart ? 0 : position, of: stream.process, continuation)
        }
        return events
    }
}

extension FlawedBackend: Claiming {
    func claim(_ stream: FlawedStream) async throws -> FlawedStream {
        let epoch = withLog(of: stream) { log in
            log.epoch = flaw == .letsRivalsShare ? 1 : log.epoch + 1
            log.readCountAtClaim = log.readCount
            return log.epoch
        }
        return FlawedStream(backend: self, name: stream.name, process: stream.process, epoch: epoch)
    }
}

extension FlawedBackend: FailureInjecting {
    func failNextAppend(to stream: FlawedStream, afterRecording: Bool) async throws {
        withLog(of: stream) { $0.nextFailsAfterRecording = afterRecording }
    }
}

/// What stands for a process: one call of `withStream`, and what it remembers of the stream from when it began.
final class FlawedProcess: Sendable {
    let log: Mutex<FlawedLog>

    init(remembering log: FlawedLog) { self.log = Mutex(log) }
}
