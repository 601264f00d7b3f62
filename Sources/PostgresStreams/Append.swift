import TisynStreams

/// One call of `append`: what the caller wants in the log, on its way there.
struct Append: Sendable {
    var id: Int
    var stream: StreamName
    /// The epoch the writer claimed; nil for an unclaimed writer.
    var epoch: Int?
    /// Where it must land; nil: at the end, wherever that is.
    var expecting: Int?
    /// Not empty.
    var events: [DurableEvent]
    var byteCount: Int
    var deadline: ContinuousClock.Instant
    /// It shared a transaction that the server refused: from now on it goes alone, so that it fails nobody else.
    var goesAlone = false
    /// Its caller was cancelled while it was on the wire, and has a receipt that knows it by its token: so it is sent again
    /// as it was, and never under another.
    var isGivenUp = false

    /// What an event costs beside its text: row, array element, coroutine id.
    private static let overhead = 100

    static func byteCount(of events: [DurableEvent]) -> Int {
        events.reduce(0) { $0 + byteCount(ofEventWith: $1.json.utf8Count) }
    }

    /// - Parameter jsonByteCount: of its text.
    static func byteCount(ofEventWith jsonByteCount: Int) -> Int { jsonByteCount + overhead }
}
