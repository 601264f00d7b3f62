import TisynStreams

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An event and where it stands.
public struct RecordedEvent: Sendable, Hashable {
    public let stream: StreamName
    /// Counted from 0, without gaps.
    public let position: Int
    /// When the server wrote it, by the server's clock, a little before it was committed.
    public let recordedAt: Date
    /// Byte for byte what was appended. It shares memory with those it was read with, see `DurableEvent.detached()`.
    public let event: DurableEvent

    /// The journal makes its own; this is for those who stand in for one, in tests.
    public init(stream: StreamName, position: Int, recordedAt: Date, event: DurableEvent) {
        self.stream = stream
        self.position = position
        self.recordedAt = recordedAt
        self.event = event
    }
}

extension Date {
    /// PostgreSQL counts microseconds since 2000-01-01 00:00:00 UTC, which is 946,684,800 s after 1970.
    init(postgresMicroseconds microseconds: Int64) {
        self.init(timeIntervalSince1970: 946_684_800 + Double(microseconds) / 1e6)
    }
}
