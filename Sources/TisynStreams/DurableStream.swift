/// A journal: an append-only, gapless, totally ordered sequence of events (contract §2).
///
/// Implemented by ``InMemoryStream`` and by journals on real storage. Executors write each effect's event with
/// ``append(_:)`` and resume only after it returns; on a restart they read everything back and replay.
public protocol DurableStream: Sendable {
    /// Adds an event at the end. When it returns, the event is durable: it survives whatever the implementation
    /// promises to survive.
    ///
    /// If it throws, the event may or may not have been recorded, unless the error says which. Appends of one
    /// caller that waits for each keep their order; concurrent appends land in some order.
    ///
    /// - Returns: the event's position: 0 for the stream's first event, always one more than its predecessor's.
    @discardableResult
    func append(_ event: DurableEvent) async throws -> Int

    /// All events, in order: the element at index *n* is the event at position *n*. Contains at least every
    /// event whose append had returned before the call.
    func readAll() async throws -> [DurableEvent]
}
