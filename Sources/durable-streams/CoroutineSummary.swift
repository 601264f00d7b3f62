import TisynStreams

/// What `replay` says of one coroutine. Keeps no event: a stream may be long.
struct CoroutineSummary: Sendable {
    enum Status: String, Sendable {
        case open, ok, error, cancelled

        init(closedWith result: EffectResult) {
            self =
                switch result {
                case .ok: .ok
                case .error: .error
                case .cancelled: .cancelled
                }
        }
    }

    let id: CoroutineID
    let yields: Int
    var status = Status.open
    /// In its escaped spelling: names may hold anything, control characters of terminals included.
    var lastEffect: String?

    var jsonLine: String {
        #"{"coroutineId":\#(JSONText.string(id)),"yields":\#(yields),"status":"\#(status.rawValue)"}"#
    }
}
