import TisynStreams

// What a stream can do beyond `DurableStream`. Claimed by a ``StreamBackend``, in the words the suite uses; a backend
// passes each on to its stream's own method, whatever that is called.

/// Several events in one append.
public protocol BatchAppending: StreamBackend {
    /// Appends all of these one after the other, or none, and returns their positions; for no events the empty range at
    /// the stream's next position.
    func append(contentsOf events: [DurableEvent], to stream: Stream) async throws -> Range<Int>
}

/// An append that names its position.
public protocol PositionExpecting: StreamBackend {
    /// Appends the event at `position` and nowhere else. Throws, and writes nothing, when that is not the next one.
    func append(_ event: DurableEvent, to stream: Stream, expecting position: Int) async throws -> Int
}

/// Events as they are recorded.
public protocol Tailing: StreamBackend {
    associatedtype Events: AsyncSequence where Events.Element == DurableEvent

    /// The events from `position` on, then those to come, each once and in order. It waits at the end of the stream; when
    /// its task is cancelled, it ends or throws.
    func tail(_ stream: Stream, from position: Int) -> Events
}

/// A single writer.
public protocol Claiming: StreamBackend {
    /// Makes the returned stream the only one that can be appended to: after this returns, no append of an earlier claim,
    /// nor of a stream that was not claimed, is recorded or returns.
    func claim(_ stream: Stream) async throws -> Stream
}

/// Appends that fail on request.
public protocol FailureInjecting: StreamBackend {
    /// Makes the next append to the stream throw, a single one or a batch.
    ///
    /// - Parameter afterRecording: it records its events all the same, like a commit whose acknowledgement was lost.
    func failNextAppend(to stream: Stream, afterRecording: Bool) async throws
}
