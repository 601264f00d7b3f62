import TisynStreams

@testable import PostgresStreams

/// An append queue, what is on its wire, and what it says in short:
/// a segment as `stream@position#epoch: ids | …` (`!` where the position is exact), resolutions as `id at position` or
/// `id code … outcome`.
struct AppendQueueTranscript {
    var queue: AppendQueue
    /// The segment sent last.
    private(set) var segment: Segment?
    private var streams: Set<StreamName> = []

    static let start = ContinuousClock.now
    private static let event = DurableEvent.close("c", .cancelled)

    init(_ limits: AppendQueue.Limits = .init(bytes: 1 << 20), seed: UInt64 = 1) {
        queue = AppendQueue(limits: limits, random: SplitMix(seed: seed))
    }

    /// - Parameter deadline: in seconds from `start`.
    mutating func add(
        _ id: Int,
        _ stream: String,
        events: Int = 1,
        bytes: Int = 1,
        expecting: Int? = nil,
        epoch: Int? = nil,
        deadline: Int = 60
    ) {
        streams.insert(StreamName(trusting: stream))
        queue.add(
            Append(
                id: id,
                stream: StreamName(trusting: stream),
                epoch: epoch,
                expecting: expecting,
                events: Array(repeating: Self.event, count: events),
                byteCount: bytes,
                deadline: Self.start + .seconds(deadline)
            )
        )
    }

    /// Of whatever stream it is.
    mutating func withdraw(_ id: Int) -> Bool {
        streams.contains { queue.withdraw(id, of: $0) != nil }
    }

    @discardableResult
    mutating func send(atMost runCount: Int = .max) -> String? {
        guard let next = queue.nextSegment(atMost: runCount) else { return nil }
        segment = next
        return Self.text(next)
    }

    private static func text(_ segment: Segment) -> String {
        segment.runs.map { run in
            let epoch = run.epoch.map { "#\($0)" } ?? ""
            let ids = run.appends.map { "\($0.id)" }.joined(separator: " ")
            return "\(run.stream)@\(run.position)\(run.isExact ? "!" : "")\(epoch): \(ids)"
        }.joined(separator: " | ")
    }

    @discardableResult
    mutating func answer(_ answers: Segment.Answer...) -> String {
        Self.text(queue.answered(segment?.id ?? 0, answers))
    }

    @discardableResult
    mutating func refuse(_ sqlState: String, after time: Duration = .zero) -> String {
        let refused = queue.refused(
            segment?.id ?? 0,
            .init(severity: "ERROR", sqlState: sqlState, message: "no"),
            at: Self.start + time
        )
        return Self.text(refused.resolutions)
    }

    /// Of the segment sent last.
    var lockPatience: Duration? { lockPatience(after: .zero) }

    func lockPatience(after time: Duration) -> Duration? {
        queue.onTheWire.last.flatMap { queue.lockPatience(of: $0, at: Self.start + time) }
    }

    /// However long they are.
    mutating func endRests() { queue.endRests(at: Self.start + .seconds(3600)) }

    /// So many runs of a chained segment were written.
    mutating func answerPartly(_ count: Int) { queue.partlyWritten(segment?.id ?? 0, count) }

    @discardableResult
    mutating func lose(sent: Bool = true) -> String {
        Self.text(queue.connectionLost(segment?.id ?? 0, sent: sent))
    }

    mutating func giveUp(_ id: Int) -> AppendReceipt? { queue.giveUp(id)?.1 }

    mutating func expire(after seconds: Int) -> String {
        let expired = queue.expire(at: Self.start + .seconds(seconds), because: JournalError(.unreachable, "gone"))
        return Self.text(expired.resolutions)
            + (expired.givenUp.isEmpty ? "" : "given up: \(Self.text(expired.givenUp))")
            + (expired.abandoned.isEmpty ? "" : "; abandoned")
    }

    mutating func close() -> String { Self.text(queue.close(because: JournalError(.closed, "closed"))) }

    private static func text(_ resolutions: [AppendQueue.Resolution]) -> String {
        resolutions.map { resolution in
            switch resolution.result {
            case .success(let position): return "\(resolution.append.id) at \(position)"
            case .failure(let error):
                var words = ["\(resolution.append.id)", "\(error.code)"]
                if let expected = error.expectedPosition, let actual = error.actualPosition {
                    words.append("\(expected)≠\(actual)")
                }
                if let current = error.currentEpoch { words.append("\(error.epoch.map { "\($0)" } ?? "–")<\(current)") }
                words += error.outcome.map { ["\($0)"] } ?? []
                if let receipt = error.receipt {
                    words.append("\(receipt.stream)@\(receipt.position)+\(receipt.offset)")
                }
                return words.joined(separator: " ")
            }
        }.joined(separator: ", ")
    }
}

extension Segment.Answer {
    static func written(_ position: Int, epoch: Int = 0) -> Segment.Answer {
        Segment.Answer(outcome: .written, position: position, epoch: epoch, streamID: 1)
    }

    static func conflict(_ next: Int) -> Segment.Answer {
        Segment.Answer(outcome: .conflict, position: next, epoch: 0, streamID: 1)
    }

    static func behind(_ next: Int) -> Segment.Answer {
        Segment.Answer(outcome: .behind, position: next, epoch: 0, streamID: 1)
    }

    static func fenced(by epoch: Int, at position: Int? = nil) -> Segment.Answer {
        Segment.Answer(outcome: .fenced, position: position, epoch: epoch, streamID: 1)
    }
}
