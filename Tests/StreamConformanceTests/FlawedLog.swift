import TisynStreams

/// What a ``FlawedBackend`` has recorded of one stream, and how it records wrongly.
struct FlawedLog: Sendable {
    struct Refused: Error {}

    let flaw: Flaw?
    var events: [DurableEvent] = []
    var epoch = 0
    /// Asked for: the next append fails, after recording or before.
    var nextFailsAfterRecording: Bool?
    /// The next append is acknowledged and forgotten.
    var takesNext = false
    var readCount = 0
    /// How many reads there had been at the last claim.
    var readCountAtClaim = 0
    private var appendCount = 0
    /// Writers that have been told once that they are fenced.
    private var told: Set<Int?> = []
    private var tails: [FlawedTail] = []

    init(flaw: Flaw?) { self.flaw = flaw }

    // MARK: Appending

    mutating func append(
        _ appended: [DurableEvent],
        epoch writer: Int?,
        expecting position: Int?,
        by process: FlawedProcess
    ) throws(Refused) -> Int {
        appendCount += 1
        if isFenced(writer), !isLetThrough(appended, expecting: position) { throw Refused() }
        if let position, !accepts(position) { throw Refused() }
        if let afterRecording = nextFailsAfterRecording {
            nextFailsAfterRecording = nil
            recordFailing(appended, afterRecording, by: process)
            throw Refused()
        }
        let next = events.count
        if flaw == .mergesEqualEvents, let first = appended.first, let position = events.firstIndex(of: first) {
            return position
        }
        if takesNext {
            takesNext = false
        } else {
            record(appended, by: process)
        }
        return switch flaw {
        case .countsFromOne: next + 1
        case .leavesGaps: next * 2
        case .skipsAPosition: next >= 100 ? next + 1 : next
        default: next
        }
    }

    private func isLetThrough(_ appended: [DurableEvent], expecting position: Int?) -> Bool {
        switch flaw {
        case .fencesNoBatch: appended.count > 1
        case .fencesNoExpectation: position != nil
        default: false
        }
    }

    mutating func isFenced(_ writer: Int?) -> Bool {
        guard epoch > 0, writer != epoch else { return false }
        return switch flaw {
        case .fencesNobody: false
        case .fencesOnce: told.insert(writer).inserted
        default: true
        }
    }

    private func accepts(_ position: Int) -> Bool {
        switch flaw {
        case .ignoresExpectations: true
        case .letsTwoWin: position == events.count || position == 0 && events.count == 1
        default: position == events.count
        }
    }

    private mutating func recordFailing(
        _ appended: [DurableEvent],
        _ afterRecording: Bool,
        by process: FlawedProcess
    ) {
        switch flaw {
        case .recordsWhatFails: record(appended, by: process)
        case .failsInTheMiddleOfABatch: record(Array(appended.prefix(appended.count / 2)), by: process)
        case .losesWhatItRecorded: break
        default: if afterRecording { record(appended, by: process) }
        }
    }

    private mutating func record(_ appended: [DurableEvent], by process: FlawedProcess) {
        let first = events.count
        switch flaw {
        case .drops where appendCount == 3: break
        case .duplicates where appendCount == 3: events += appended + appended
        case .reorders where appendCount == 3: events.insert(contentsOf: appended, at: events.count - 1)
        case .rewritesJSON: events += appended.map { (try? DurableEvent($0.json.canonical())) ?? $0 }
        default: events += appended
        }
        for position in first..<max(first, events.count) {
            for tail in tails where tail.position <= position {
                if flaw == .tailHearsItsOwnProcess, tail.process !== process { continue }
                deliver(position, to: tail.continuation)
            }
        }
    }

    // MARK: Tails

    mutating func addTail(
        from position: Int,
        of process: FlawedProcess,
        _ continuation: AsyncStream<DurableEvent>.Continuation
    ) {
        for recorded in events.indices.dropFirst(position) { deliver(recorded, to: continuation) }
        if flaw == .tailEnds { continuation.finish() }
        tails.append(FlawedTail(position: position, process: process, continuation: continuation))
    }

    private func deliver(_ position: Int, to continuation: AsyncStream<DurableEvent>.Continuation) {
        switch flaw {
        case .tailDrops where position == 7: break
        case .tailRepeats where position == 7:
            continuation.yield(events[position])
            continuation.yield(events[position])
        default: continuation.yield(events[position])
        }
    }
}

/// Who waits for events of a ``FlawedLog``, and from where on.
private struct FlawedTail: Sendable {
    var position: Int
    var process: FlawedProcess
    var continuation: AsyncStream<DurableEvent>.Continuation
}
