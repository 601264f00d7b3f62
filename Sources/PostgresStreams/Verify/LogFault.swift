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
        /// The log is at least as long as the stream was when the reading began.
        case length
        /// Events belong to a stream.
        case owner
    }

    public let law: Law
    /// Nil for events that belong to none.
    public let stream: StreamName?
    /// The number that such events have for their stream; nil where there is one.
    public let streamID: Int?
    public let position: Int
    /// Quotes no payload.
    public let details: String

    init(law: Law, stream: StreamName, position: Int, details: String) {
        (self.law, self.stream, streamID, self.position, self.details) = (law, stream, nil, position, details)
    }

    init(law: Law, streamID: Int, position: Int, details: String) {
        (self.law, stream, self.streamID, self.position, self.details) = (law, nil, streamID, position, details)
    }

    public var description: String {
        let place = stream.map { "stream \($0)" } ?? streamID.map { "stream_id \($0)" } ?? "no stream"
        return "\(place), position \(position): \(details)"
    }
}
