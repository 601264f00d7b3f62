import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// One append, and the connection broken at each of its protocol messages: see `WireProxy`.
///
/// Most of its time goes by in the growing pauses before each new connection, so all cases run at once.
@Suite(
    "An append broken at each message",
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
)
struct BrokenAppendTests {
    /// How many messages such an append takes in each direction.
    private func messageCounts(
        _ proxy: WireProxy,
        _ stream: PostgresStream,
        _ events: [DurableEvent]
    ) async throws -> [WireProxy.Direction: Int] {
        proxy.set(nil)
        try await stream.append(contentsOf: events)
        try await until {
            let syncs = proxy.transcript(.toServer).filter { $0 == "S" }.count
            return syncs >= 1 && proxy.transcript(.toClient).filter { $0 == "Z" }.count == syncs
        }
        return [.toServer: proxy.transcript(.toServer).count, .toClient: proxy.transcript(.toClient).count]
    }

    /// One event and several take different ways through the library and the schema.
    @Test(
        "an append whose connection breaks at any message is acknowledged once and there once",
        arguments: [WireProxy.Fault.cut, .tear, .cutAfter, .halfClose],
        [1, 3]
    )
    func everyMessage(_ fault: WireProxy.Fault, eventCount: Int) async throws {
        try await withWireProxy { proxy, journal, direct in
            let stream = try journal.stream("s")
            func events(_ name: String) -> [DurableEvent] {
                (0..<eventCount).map { .close(CoroutineID("\(name).\($0)"), .cancelled) }
            }
            // Twice: with the first the statements are prepared.
            _ = try await messageCounts(proxy, stream, events("first"))
            let counts = try await messageCounts(proxy, stream, events("measured"))
            var expected = events("first") + events("measured")
            for direction in WireProxy.Direction.allCases {
                let count = try #require(counts[direction])
                #expect(count >= 4)
                // To be cut after one message is to be cut before the next, but for the last.
                for index in (fault == .cutAfter ? count - 1 : 0)..<count {
                    let sprung = proxy.set(.init(direction: direction, index: index, fault: fault))
                    for name in ["\(direction).\(index)", "after"] {
                        let events = events(name)
                        let positions = try await stream.append(contentsOf: events)
                        #expect(positions == expected.count..<(expected.count + eventCount), "\(name)")
                        expected += events
                    }
                    // Not every append takes as many messages as that one: a notification may go along, or not.
                    var more = 0
                    while !proxy.isSprung {
                        let events = events("\(direction).\(index) more.\(more)")
                        expected += events
                        more += 1
                        try await stream.append(contentsOf: events)
                    }
                    for await _ in sprung {}
                }
            }
            let recorded = try await direct.stream("s").readAll()
            #expect(recorded == expected)
        }
    }
}
