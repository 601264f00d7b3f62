import Foundation
import PostgresStreams
import Synchronization
import Testing
import TisynStreams

/// A thousand tails while fifty writers append and connections die at random: each tail equals its stream.
///
/// `DURABLE_STREAMS_LOAD_SECONDS` says how long they append; 6 where it is not set.
@Suite("Tails under load", .serialized, .timeLimit(.minutes(10)))
struct TailLoadTests {
    private static let seconds =
        ProcessInfo.processInfo.environment["DURABLE_STREAMS_LOAD_SECONDS"].flatMap(Double.init) ?? 6

    @Test("1,000 tails equal their streams, whatever happens to the connections meanwhile")
    func thousandTails() async throws {
        try await withTestDatabase { url in
            try await withJournal(patient(url)) { writing in
                try await withJournal(patient(url)) { tailing in
                    let (counts, kills) = try await run(url, writing, tailing)
                    #expect(kills > 0)
                    #expect(counts.count == 1000)
                    for (number, count) in counts.enumerated() {
                        #expect(try await writing.stream("s\(number)").nextPosition() == count)
                    }
                }
            }
        }
    }

    /// Nothing here may fail because the machine is slow.
    private func patient(_ url: String) -> JournalConfiguration {
        var configuration = JournalConfiguration.quiet(url)
        configuration.appendDeadline = .seconds(300)
        configuration.readDeadline = .seconds(300)
        return configuration
    }

    /// How many events each tail delivered, and how often connections were killed.
    private func run(_ url: String, _ writing: Journal, _ tailing: Journal) async throws -> ([Int], Int) {
        let account = Account()
        let counts = try await withThrowingTaskGroup(of: (Int, Int).self) { tails in
            for number in 0..<1000 {
                tails.addTask {
                    var seen: [String] = []
                    for try await event in try tailing.stream("s\(number)").tail(untilClose: true) {
                        #expect(event.position == seen.count)
                        seen.append(event.event.coroutineID.encoded)
                    }
                    #expect(seen == account.ids.withLock { $0[number] } + ["root"])
                    return (number, seen.count)
                }
            }
            let end = ContinuousClock.now + .seconds(Self.seconds)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<50 {
                    group.addTask {
                        // Each has twenty streams to itself, so that what is in them is known.
                        var n = 0
                        while ContinuousClock.now < end || n < 20 {
                            let number = writer * 20 + n % 20
                            let id = "\(writer).\(n)"
                            try await writing.stream("s\(number)").append(.close(CoroutineID(id), .ok(nil)))
                            account.ids.withLock { $0[number].append(id) }
                            n += 1
                        }
                    }
                }
                group.addTask {
                    try await withSQL(url) { killer in
                        repeat {
                            try await killer.run(
                                """
                                select pg_sleep(0.3 * random()), pg_terminate_backend(pid) from (
                                    select pid from pg_stat_activity
                                    where datname = current_database() and application_name = 'durable-streams'
                                    order by random() limit 1) v
                                """
                            )
                            account.kills.add(1, ordering: .relaxed)
                        } while ContinuousClock.now < end
                    }
                }
                try await group.waitForAll()
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<1000 {
                    group.addTask { try await writing.stream("s\(number)").append(.close(.root, .ok(nil))) }
                }
                try await group.waitForAll()
            }
            return try await tails.reduce(into: [Int](repeating: 0, count: 1000)) { $0[$1.0] = $1.1 }
        }
        return (counts, account.kills.load(ordering: .relaxed))
    }
}

/// What was acknowledged in each stream, and how often a connection was killed.
private final class Account: Sendable {
    let ids = Mutex([[String]](repeating: [], count: 1000))
    let kills = Atomic(0)
}
