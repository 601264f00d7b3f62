import PostgresStreams
import Testing
import TisynStreams

/// What a replay index answers of a coroutine's last entries without reading the stream.
@Suite("Heads of a replay", .timeLimit(.minutes(10)))
struct ReplayHeadTests {
    private static let event = #"{"type":"close","coroutineId":"root","result":{"status":"ok"}}"#

    @Test("a close that extend brought is known, though the coroutine was asked for before")
    func extendClose() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { ours in
                try await withJournal(.quiet(url)) { theirs in
                    let stream = try ours.stream("s")
                    try await stream.append(DurableEvent(Self.event.replacing("root", with: "root.1")))
                    let index = stream.replayIndex()
                    #expect(try await !index.hasClose(.root))
                    try await theirs.stream("s").append(DurableEvent(Self.event))
                    try await index.extend()
                    #expect(try await index.hasClose(.root))
                }
            }
        }
    }

    @Test("so it is where a tail that began further on knows of more")
    func tailedClose() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { ours in
                try await withJournal(.quiet(url)) { theirs in
                    let stream = try ours.stream("s")
                    try await stream.append(DurableEvent(Self.event.replacing("root", with: "root.1")))
                    let index = stream.replayIndex()
                    #expect(try await !index.hasClose(.root))
                    try await theirs.stream("s").append(DurableEvent(Self.event))
                    try await theirs.stream("s").append(DurableEvent(Self.event.replacing("root", with: "root.2")))
                    var tail = stream.tail(from: .position(2)).makeAsyncIterator()
                    #expect(try await tail.next()?.position == 2)
                    #expect(index.progress.known == 3)
                    #expect(try await index.hasClose(.root))
                }
            }
        }
    }

    @Test("the last close counts")
    func lastClose() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(DurableEvent(Self.event))
            let index = stream.replayIndex()
            #expect(try await index.close(of: .root) != nil)
            let second = try DurableEvent(Self.event.replacing("ok", with: "cancelled"))
            try await stream.append(second)
            #expect(try await index.close(of: .root) == second)
        }
    }
}
