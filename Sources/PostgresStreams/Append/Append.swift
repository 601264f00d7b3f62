import TisynStreams

/// One call of `append`: what the caller wants in the log, on its way there.
///
/// It goes from hand to hand several times, and many do together; so it is small, and what does not change is shared.
struct Append: Sendable {
    typealias Caller = CheckedContinuation<AppendResult, Never>

    var id: Int
    /// It shared a transaction that the server refused: from now on it goes alone, so that it fails nobody else.
    var goesAlone = false
    /// Its caller was cancelled, or its deadline passed, while it was on the wire. It has a receipt that knows it by its token:
    /// so it is sent again as it was, and never under another.
    var isGivenUp = false
    private let shared: Shared

    private struct Call: Sendable {
        let stream: StreamName
        let epoch: Int?
        let expecting: Int?
        let events: [DurableEvent]
        let byteCount: Int
        let deadline: ContinuousClock.Instant
        let caller: Caller?
    }

    private final class Shared: Sendable {
        let call: Call

        init(_ call: Call) { self.call = call }
    }

    init(
        id: Int,
        stream: StreamName,
        epoch: Int?,
        expecting: Int?,
        events: [DurableEvent],
        byteCount: Int,
        deadline: ContinuousClock.Instant,
        caller: Caller? = nil
    ) {
        self.id = id
        shared = Shared(
            Call(
                stream: stream,
                epoch: epoch,
                expecting: expecting,
                events: events,
                byteCount: byteCount,
                deadline: deadline,
                caller: caller
            )
        )
    }

    var stream: StreamName { shared.call.stream }
    /// The epoch the writer claimed; nil for an unclaimed writer.
    var epoch: Int? { shared.call.epoch }
    /// Where it must land; nil: at the end, wherever that is.
    var expecting: Int? { shared.call.expecting }
    /// Not empty.
    var events: [DurableEvent] { shared.call.events }
    var byteCount: Int { shared.call.byteCount }
    var deadline: ContinuousClock.Instant { shared.call.deadline }
    /// Who waits for the answer. Who gave it up has been told.
    var caller: Caller? { isGivenUp ? nil : shared.call.caller }

    /// What an event costs beside its text: row, array element, coroutine id.
    private static let overhead = 100

    static func byteCount(of events: [DurableEvent]) -> Int {
        events.reduce(0) { $0 + byteCount(ofEventWith: $1.json.utf8Count) }
    }

    /// - Parameter jsonByteCount: of its text.
    static func byteCount(ofEventWith jsonByteCount: Int) -> Int { jsonByteCount + overhead }
}
