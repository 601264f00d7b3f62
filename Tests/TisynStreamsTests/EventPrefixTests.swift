import Testing
import TisynStreams

@Suite("Events that are cut off")
struct EventPrefixTests {
    private static let originals = [
        DurableEventTests.yield,
        DurableEventTests.close,
        #" {"type":"yield","coroutineId":"r\u006fot","description":{"type":"a","name":"b\ud800"},"#
            + #""result":{"status":"error","error":{"message":"é😀\n","name":"E"}},"x":[[],{},-1.5e-7,null,false]} "#,
    ]

    @Test("Every prefix of an event is refused at its end")
    func prefixes() {
        for original in Self.originals {
            let bytes = Array(original.utf8)
            let end = (bytes.lastIndex(of: UInt8(ascii: "}")) ?? 0)
            for length in 0...end {
                let error = #expect(throws: EventError.self) { try DurableEvent(utf8: bytes[..<length]) }
                #expect((error?.jsonError?.offset ?? 0) >= length - 3)
            }
        }
    }
}
