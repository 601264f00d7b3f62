import PostgresStreams
import Testing
import TisynStreams

/// With PgBouncer in transaction mode between journal and server.
@Suite(
    "Behind a pooler",
    .serialized,
    .timeLimit(.minutes(5)),
    .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine"),
    .enabled(if: Pooler.program != nil, "there is no pgbouncer in PATH or /usr/sbin")
)
struct PoolerTests {
    @Test("a journal appends, reads, claims and replays through it, and knows that it is there")
    func working() async throws {
        try await withPooler { pooled, _ in
            try await withJournal(.quiet(pooled)) { journal in
                #expect(journal.server.isBehindPooler)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for writer in 0..<8 {
                        group.addTask {
                            let stream = try journal.stream("s\(writer % 4)")
                            for n in 0..<20 {
                                try await stream.append(.close(CoroutineID("\(writer).\(n)"), .ok(nil)))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let stream = try journal.stream("s0")
                let ids = try await stream.readAll().map(\.coroutineID)
                #expect(ids.count == 40)
                #expect(Set(ids).count == 40)
                #expect(try await stream.replayIndex().coroutineIDs().count == 40)
                let claim = try await stream.claim()
                #expect(claim.position == 40)
                #expect(try await claim.stream.append(.close("root", .ok(nil))) == 40)
                let error = await thrown { try await stream.append(.close("late", .ok(nil))) }
                #expect(error?.code == .fenced)
            }
        }
    }

    @Test("a tail through it polls, and says why")
    func polling() async throws {
        try await withPooler { pooled, _ in
            try await withJournal(.quiet(pooled)) { journal in
                let stream = try journal.stream("s")
                async let seen = stream.tail(untilClose: true).reduce(into: 0) { count, _ in count += 1 }
                for await state in journal.listeningStates() where state == .polling(.pooler) { break }
                for n in 0..<5 { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
                try await stream.append(.close("root", .ok(nil)))
                #expect(try await seen == 6)
            }
        }
    }

    @Test("with a way round it for the listener the tail listens")
    func listeningDirectly() async throws {
        try await withPooler { pooled, direct in
            var configuration = JournalConfiguration.quiet(pooled)
            configuration.listenURL = direct
            configuration.listening.checkInterval = .seconds(3600)
            try await withJournal(configuration) { journal in
                let stream = try journal.stream("s")
                async let seen = stream.tail(untilClose: true).reduce(into: 0) { count, _ in count += 1 }
                for await state in journal.listeningStates() where state == .listening { break }
                for n in 0..<5 { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
                try await stream.append(.close("root", .ok(nil)))
                #expect(try await seen == 6)
            }
        }
    }

    @Test("the durability asked for counts through it, whatever its connections have as default")
    func durability() async throws {
        try await withPooler { pooled, direct in
            try await withSQL(direct) { sql in
                let database = try await sql.value("select current_database()")
                try await sql.run("alter database \"\(database)\" set synchronous_commit = off")
                // Tells what the inserting transaction has.
                try await sql.run(
                    """
                    create function durable_streams.note() returns trigger language plpgsql as $$
                    begin
                        insert into public.noted values (current_setting('synchronous_commit'));
                        return null;
                    end $$
                    """
                )
                try await sql.run("create table public.noted (setting text)")
                try await sql.run(
                    """
                    create trigger note after insert on durable_streams.events
                    for each statement execute function durable_streams.note()
                    """
                )
                try await withJournal(.quiet(pooled)) { journal in
                    let stream = try journal.stream("s")
                    try await stream.append(.close("a", .ok(nil)))
                    try await stream.append(contentsOf: [.close("b", .ok(nil)), .close("c", .ok(nil))])
                }
                #expect(try await sql.run("select distinct setting from public.noted") == [["on"]])
            }
        }
    }
}
