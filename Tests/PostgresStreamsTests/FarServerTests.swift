import PostgresStreams
import Testing
import TisynStreams

/// Appends to a server that answers only after 200 ms, however little it has to do.
@Suite(
    "A server that is far away",
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
)
struct FarServerTests {
    private static let delay = 100

    private static func appends(_ statements: String) -> Bool { statements.contains("append_") }

    @Test("many segments are under way, so that an append does not wait for those before it")
    func underWay() async throws {
        try await withWireProxy(isFar: Self.delay) { proxy, journal, _ in
            let streams = try (0..<16).map { try journal.stream("s\($0)") }
            let counts = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
                for (index, stream) in streams.enumerated() {
                    group.addTask {
                        var count = 0
                        // Near, it would be two, each with its notification. A busy machine may be long in getting there.
                        while count < 8 || proxy.mostUnanswered(where: Self.appends) <= 4 {
                            let position = try await stream.append(.close(CoroutineID("\(count)"), .ok(nil)))
                            #expect(position == count)
                            count += 1
                        }
                        return (index, count)
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            for (index, stream) in streams.enumerated() {
                #expect(try await stream.readAll().count == counts[index])
            }
        }
    }

    @Test("all that is under way when its connections die is there once")
    func dying() async throws {
        try await withWireProxy(isFar: Self.delay) { proxy, journal, direct in
            let workload = Workload(
                streamCount: 16,
                writerCount: 16,
                appendsPerWriter: 20,
                appendsPerFault: 60,
                writing: [journal],
                tailing: direct
            )
            try await workload.run { _ in proxy.endConnections() }
        }
    }

    @Test("after a claim nothing that was under way can be written any more, though much was")
    func claimed() async throws {
        try await withWireProxy(isFar: Self.delay) { proxy, journal, direct in
            let names = (0..<12).map { "s\($0)" }
            for name in names { try await journal.stream(name).append(.close("first", .ok(nil))) }
            // Each of them goes on until it is refused; what was acknowledged is in front of the claim.
            let acknowledged = try await withThrowingTaskGroup(of: (String, Int).self) { group in
                for name in names {
                    group.addTask {
                        let stream = try journal.stream(name)
                        var count = 1
                        do {
                            while true {
                                try await stream.append(.close("next", .ok(nil)))
                                count += 1
                            }
                        } catch let error as JournalError where error.code == .fenced {
                            return (name, count)
                        }
                    }
                }
                try await until { proxy.mostUnanswered(where: Self.appends) > 2 }
                var claimed: [String: Int] = [:]
                for name in names {
                    let claim = try await direct.stream(name).claim()
                    claimed[name] = claim.position
                    #expect(try await claim.stream.append(.close("claimer", .ok(nil))) == claim.position)
                }
                for try await (name, count) in group { #expect(claimed[name] == count) }
                return claimed
            }
            for (name, position) in acknowledged {
                let events = try await direct.stream(name).readAll()
                #expect(events.count == position + 1)
                #expect(events.last?.coroutineID == "claimer")
            }
        }
    }
}
