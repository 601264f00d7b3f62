import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// Disks that fill up under the journal, and are made larger.
@Suite(
    "A full disk",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled("a small disk is mounted, which takes root") {
        guard TestServer.isPrivate else { return false }
        return await SmallDisk.isPermitted()
    }
)
struct DiskFullTests {
    /// What was acknowledged, by position.
    private typealias Acknowledged = [Int: DurableEvent]

    private typealias Failure = (error: JournalError?, event: DurableEvent)

    /// Not to be compressed.
    private static func event(_ number: Int) -> DurableEvent {
        let noise = (0..<4_000).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
        return .close(CoroutineID("\(number)"), .ok(.string(JSONString(noise))))
    }

    private static func configuration(_ server: PrivatePostgres) -> JournalConfiguration {
        .with(server.databaseURL) {
            $0.appendDeadline = .seconds(8)
            $0.readDeadline = .seconds(60)
        }
    }

    /// Appends until one fails.
    private func fill(
        _ stream: PostgresStream,
        _ acknowledged: inout Acknowledged
    ) async throws -> Failure {
        for number in 0..<10_000 {
            let event = Self.event(number)
            do {
                acknowledged[try await stream.append(event)] = event
            } catch {
                return (error, event)
            }
        }
        return (nil, Self.event(0))
    }

    /// Once there is room: appends go on, and all that was acknowledged is there, dense and once.
    private func goOn(
        _ journal: Journal,
        _ stream: PostgresStream,
        after failures: [Failure],
        _ acknowledged: Acknowledged
    ) async throws {
        var acknowledged = acknowledged
        let last = Self.event(-1)
        var position: Int?
        try await until {
            position = try await outcome { try await stream.append(last) }.success
            return position != nil
        }
        acknowledged[try #require(position)] = last
        let events = try await stream.readAll()
        for (position, event) in acknowledged {
            #expect(events.indices.contains(position) && events[position] == event, "position \(position)")
        }
        var failed = 0
        for failure in failures {
            let count = events.filter { $0 == failure.event }.count
            #expect(count <= (failure.error?.outcome == .notWritten ? 0 : 1))
            failed += count
        }
        let lasts = events.filter { $0 == last }.count
        #expect(lasts >= 1)
        #expect(events.count == acknowledged.count + failed + lasts - 1)
        #expect(try await journal.verify(stream.name) == events.count)
    }

    @Test("the tables' disk fills: appends fail as not written and say why, reads go on; with room again all goes on")
    func tables() async throws {
        try await withPrivatePostgres { server in
            try await Migrator(.quiet(server.databaseURL)).migrate()
            try await SmallDisk.with(megabytes: 16, for: server) { disk in
                try await server.psql("create tablespace small location '\(disk.folder)'")
                try await server.psql("alter table durable_streams.events set tablespace small")
                try await withJournal(Self.configuration(server)) { journal in
                    let stream = try journal.stream("s")
                    var acknowledged: Acknowledged = [:]
                    var failures = [try await fill(stream, &acknowledged)]
                    // Tried again and again, it may be on the wire just when its deadline comes: then another one.
                    while failures.last?.error?.outcome == .unknown {
                        failures.append(try await fill(stream, &acknowledged))
                    }
                    let error = failures.last?.error
                    #expect(error?.outcome == .notWritten, "\(String(describing: error))")
                    #expect(acknowledged.count > 10)
                    let there = try await stream.readAll().count
                    #expect((acknowledged.count..<acknowledged.count + failures.count).contains(there))
                    try await disk.grow(toMegabytes: 256)
                    try await goOn(journal, stream, after: failures, acknowledged)
                }
                try await server.psql("alter table durable_streams.events set tablespace pg_default")
            }
        }
    }

    @Test("the log's disk fills and the server gives up: what was acknowledged is there when it is back")
    func log() async throws {
        let settings = ["max_wal_size": "4GB", "checkpoint_timeout": "1h"]
        try await withPrivatePostgres(.init(settings: settings)) { server in
            try await Migrator(.quiet(server.databaseURL)).migrate()
            await server.stop()
            try await SmallDisk.with(megabytes: 64, for: server) { disk in
                try await disk.take("\(server.dataDirectory)/pg_wal")
                try await server.start()
                try await withJournal(Self.configuration(server)) { journal in
                    let stream = try journal.stream("s")
                    var acknowledged: Acknowledged = [:]
                    let failure = try await fill(stream, &acknowledged)
                    #expect(failure.error?.code == .unreachable, "\(String(describing: failure.error))")
                    #expect(acknowledged.count > 10)
                    try await disk.grow(toMegabytes: 512)
                    try await server.start()
                    try await goOn(journal, stream, after: [failure], acknowledged)
                }
            }
        }
    }
}
