import TisynStreams

/// What `replay` says of one coroutine. Keeps no event: a stream may be long.
struct CoroutineSummary: Sendable {
    enum Status: String, Sendable {
        case open, ok, error, cancelled
    }

    let id: CoroutineID
    private(set) var yields = 0
    private(set) var status = Status.open
    private(set) var lastEffect: String?

    init(id: CoroutineID) { self.id = id }

    /// Takes in the coroutine's next event; of several closes the last counts (contract §3).
    ///
    /// - Throws: `EventError` for an event that somebody else wrote wrongly.
    mutating func add(_ event: DurableEvent) throws(EventError) {
        switch event.kind {
        case .yield:
            yields += 1
            // In its escaped spelling: names may hold anything, control characters of terminals included.
            if let effect = try event.yieldEntry()?.description {
                lastEffect = "\(effect.type.encoded).\(effect.name.encoded)"
            }
        case .close:
            status =
                switch try event.result() {
                case .ok: .ok
                case .error: .error
                case .cancelled: .cancelled
                }
        }
    }

    var jsonLine: String {
        #"{"coroutineId":\#(JSONText.string(id)),"yields":\#(yields),"status":"\#(status.rawValue)"}"#
    }
}
