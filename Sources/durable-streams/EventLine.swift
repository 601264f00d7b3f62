import PostgresStreams
import TisynStreams

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// How an event becomes a line of NDJSON. The three forms of the tool, and what is done to an event's text: nothing,
/// where it can be helped.
///
/// What `append` took is one line and comes out byte for byte. An event appended through the library may have line feeds
/// between its tokens; each becomes a space, so that a line stays a line. In the wrapped forms so does a carriage return,
/// which many readers of lines take for the end of one. Inside of JSON strings neither can stand.
enum EventLine {
    /// `read`: the event and nothing else.
    static func append(_ event: DurableEvent, to bytes: inout [UInt8]) {
        append(event.json, keepingReturns: true, to: &bytes)
        bytes.append(UInt8(ascii: "\n"))
    }

    /// `read --positions`.
    static func appendPositioned(_ recorded: RecordedEvent, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "{"))
        appendBody(recorded, to: &bytes)
    }

    /// `tail`.
    static func appendTailed(_ recorded: RecordedEvent, to bytes: inout [UInt8]) {
        bytes += #"{"stream":"#.utf8
        JSONText.string(JSONString(recorded.stream.text)).withUTF8Bytes { bytes += $0 }
        bytes.append(UInt8(ascii: ","))
        appendBody(recorded, to: &bytes)
    }

    private static func appendBody(_ recorded: RecordedEvent, to bytes: inout [UInt8]) {
        bytes += #""position":"#.utf8
        bytes += String(recorded.position).utf8
        bytes += #","recordedAt":""#.utf8
        bytes += Timestamp(recorded.recordedAt).text.utf8
        bytes += #"","event":"#.utf8
        append(recorded.event.json, keepingReturns: false, to: &bytes)
        bytes += "}\n".utf8
    }

    private static func append(_ json: JSONText, keepingReturns: Bool, to bytes: inout [UInt8]) {
        let start = bytes.count
        json.withUTF8Bytes { bytes += $0 }
        let (lineFeed, carriageReturn, space) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: " "))
        bytes.withUnsafeMutableBufferPointer { bytes in
            for index in start..<bytes.count
            where bytes[index] == lineFeed || !keepingReturns && bytes[index] == carriageReturn {
                bytes[index] = space
            }
        }
    }
}
