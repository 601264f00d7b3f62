/// What is wrong with a stream's log, and where.
public struct LogFault: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Law: String, Sendable, Hashable, CaseIterable {
        /// Positions are 0, 1, 2 …
        case density
        /// The events of one append, which share a token, stand together; no append is there twice.
        case token
        /// An event's text is JSON, and an event.
        case json
        /// Its kind and coroutine id, as kept beside the text, are those of the text.
        case columns
        /// A coroutine yields nothing after its close (contract: order within a stream).
        case order
        /// What a claim reserved is the next position, and nothing else is.
        case reservation
        /// The stream is as long as its head says, and has a head.
        case head
    }

    public let law: Law
    public let stream: StreamName
    public let position: Int
    /// Quotes no payload.
    public let details: String

    public var description: String { "stream \(stream), position \(position): \(details)" }
}
