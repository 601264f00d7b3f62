import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// Appends whose connection is broken, swallowed or held up on its way: see `WireProxy`. `BrokenAppendTests` breaks one at
/// each of its messages.
@Suite(
    "Faults on the wire",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
)
struct WireFaultTests {
    @Test("appends of many streams in one segment survive a break of it", arguments: [2, 5, 9])
    func segments(_ index: Int) async throws {
        try await withWireProxy { proxy, journal, direct in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<16 {
                    group.addTask {
                        let stream = try journal.stream("s\(writer)")
                        for n in 0..<8 {
                            if writer == 0 {
                                let direction: WireProxy.Direction = n.isMultiple(of: 2) ? .toClient : .toServer
                                proxy.set(.init(direction: direction, index: index, fault: .cut))
                            }
                            #expect(try await stream.append(.close("\(n)", .cancelled)) == n)
                        }
                    }
                }
                try await group.waitForAll()
            }
            for writer in 0..<16 {
                let ids = try await direct.stream("s\(writer)").readAll().map(\.coroutineID)
                #expect(ids == (0..<8).map { CoroutineID("\($0)") })
            }
        }
    }

    @Test("an answer that never comes, and nobody else to ask: the append ends in time, resolve tells the truth")
    func swallowedAnswer() async throws {
        try await withWireProxy(.with { $0.appendDeadline = .seconds(4) }) { proxy, journal, direct in
            let stream = try journal.stream("s")
            let before = try await untilInTime { try await stream.append(.close("before", .cancelled)) }
            let sprung = proxy.set(.init(direction: .toClient, index: 0, fault: .swallow))
            proxy.refuse(true)
            let error = await thrown { try await stream.append(.close("lost", .cancelled)) }
            proxy.refuse(false)
            #expect(error?.code == .unreachable)
            // The machine was too slow to send it in time.
            guard error?.outcome != .notWritten else { return }
            try #require(error?.outcome == .unknown)
            for await _ in sprung {}
            let receipt = try #require(error?.receipt)
            #expect(try await journal.resolve(receipt) == .written(at: before + 1))
            #expect(try await direct.resolve(receipt) == .written(at: before + 1))
            #expect(try await direct.stream("s").nextPosition() == before + 2)
            let after = try await untilInTime { try await stream.append(.close("after", .cancelled)) }
            let ids = try await direct.stream("s").readAll().map(\.coroutineID)
            #expect(ids == Self.ids(before: before, "lost", after: after))
        }
    }

    /// Each position's coroutine, where the last of those before, and of those after, is at this one. There is more than one
    /// where one was too late to be acknowledged in time.
    private static func ids(before: Int, _ between: CoroutineID..., after: Int) -> [CoroutineID] {
        let first = [CoroutineID](repeating: "before", count: before + 1) + between
        return first + [CoroutineID](repeating: "after", count: max(1, after + 1 - first.count))
    }

    @Test("an append that vanished, while nobody else can be asked, ends at its deadline; resolve tells the truth")
    func swallowedRequest() async throws {
        try await withWireProxy(.with { $0.appendDeadline = .seconds(4) }) { proxy, journal, direct in
            let stream = try journal.stream("s")
            let before = try await untilInTime { try await stream.append(.close("before", .cancelled)) }
            let sprung = proxy.set(.init(direction: .toServer, index: 0, fault: .swallow))
            proxy.refuse(true)
            let error = await thrown { try await stream.append(.close("lost", .cancelled)) }
            proxy.refuse(false)
            // The machine was too slow to send it in time.
            guard error?.outcome != .notWritten else { return }
            try #require(error?.outcome == .unknown)
            for await _ in sprung {}
            let receipt = try #require(error?.receipt)
            #expect(try await journal.resolve(receipt) == .notWrittenYet)
            let after = try await untilInTime { try await stream.append(.close("after", .cancelled)) }
            let ids = try await direct.stream("s").readAll().map(\.coroutineID)
            #expect(ids == Self.ids(before: before, after: after))
        }
    }

    @Test("with nobody there an append ends at its deadline, not written")
    func nobodyThere() async throws {
        try await withWireProxy(.with { $0.appendDeadline = .milliseconds(500) }) { proxy, journal, direct in
            proxy.refuse(true)
            let stream = try journal.stream("s")
            let error = await thrown { try await stream.append(.close("lost", .cancelled)) }
            #expect(error?.code == .unreachable)
            #expect(error?.outcome == .notWritten)
            #expect(error?.receipt == nil)
            #expect(try await direct.stream("s").nextPosition() == 0)
        }
    }

    @Test("an append held up on its way, while the stream is claimed, is fenced when it arrives")
    func heldUpWhileClaimed() async throws {
        try await withWireProxy { proxy, journal, direct in
            let stream = try journal.stream("s")
            try await stream.append(.close("before", .cancelled))
            let sprung = proxy.set(.init(direction: .toServer, index: 0, fault: .hold))
            async let late = thrown { try await stream.append(.close("late", .cancelled)) }
            for await _ in sprung {}
            // However long the claim takes: nobody finds out over another connection that the append is held up.
            proxy.refuse(true)
            let claim = try await direct.stream("s").claim()
            #expect(claim.position == 1)
            proxy.refuse(false)
            proxy.release()
            let error = await late
            #expect(error?.code == .fenced)
            #expect(error?.outcome == .notWritten)
            #expect(try await direct.stream("s").readAll().map(\.coroutineID) == ["before"])
        }
    }

    @Test("an append that was written, its answer lost, and then fenced says that it was written")
    func fencedAfterItWasWritten() async throws {
        try await withWireProxy { proxy, journal, direct in
            let stream = try journal.stream("s")
            try await stream.append(.close("before", .cancelled))
            let sprung = proxy.set(.init(direction: .toClient, index: 0, fault: .hold))
            async let late = thrown { try await stream.append(.close("late", .cancelled)) }
            for await _ in sprung {}
            let claim = try await direct.stream("s").claim()
            #expect(claim.position == 2)
            // Its connection goes, the answer with it: it is sent again, and meets the claim.
            proxy.endConnections()
            let error = await late
            #expect(error?.code == .fenced)
            #expect(error?.outcome == .written)
            #expect(try await direct.stream("s").readAll().map(\.coroutineID) == ["before", "late"])
        }
    }

    @Test("connections that are logged in and then never answered hold up neither appends nor tails for good")
    func silentConnections() async throws {
        try await withWireProxy(.with { $0.readDeadline = .seconds(1) }) { proxy, journal, direct in
            let stream = try journal.stream("s")
            try await stream.append(.close("0", .cancelled))
            var iterator = stream.tail().makeAsyncIterator()
            #expect(try await iterator.next()?.position == 0)
            proxy.mute(true)
            proxy.endConnections()
            // What appends, and what reads or listens.
            async let appended = stream.append(.close("1", .cancelled))
            try await until { proxy.mutedCount >= 2 }
            proxy.mute(false)
            #expect(try await appended == 1)
            #expect(try await iterator.next()?.position == 1)
            try await direct.stream("s").append(.close("2", .cancelled))
            #expect(try await iterator.next()?.position == 2)
        }
    }
}
