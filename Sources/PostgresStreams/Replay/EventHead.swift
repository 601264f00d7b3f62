import TisynStreams

/// What a replay's bookkeeping needs of an event: whose it is, and which of the two kinds.
struct EventHead: Sendable {
    let kind: DurableEvent.Kind
    let coroutineID: CoroutineID

    init(_ event: DurableEvent) { (kind, coroutineID) = (event.kind, event.coroutineID) }
}
