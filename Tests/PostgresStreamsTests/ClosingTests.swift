import Foundation
import PrivatePostgres
import Testing
import TisynStreams

@testable import PostgresStreams

/// The end of a journal: what was accepted is finished, the rest is told, nothing is left.
@Suite("Closing", .serialized, .timeLimit(.minutes(10)))
struct ClosingTests {
    @available(macOS 26, *)
    @Test("close waits for appends under way, ends tails, and refuses what comes later")
    func underWay() async throws {
        try await withTestDatabase { url in
            let journal = try await Journal.open(.quiet(url))
            let stream = try journal.stream("s")
            let tails = (0..<5).map { _ in Task { await thrown { for try await _ in stream.tail() {} } } }
            for await state in journal.listeningStates() where state == .listening { break }
            let appends = (0..<200).map { n in
                Task.immediate { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
            }
            await journal.close()
            for (n, append) in appends.enumerated() {
                let position = try await append.value
                #expect(position == n)
            }
            for tail in tails {
                let error = await tail.value
                #expect(error?.code == .closed)
            }
            let appended = await thrown { try await stream.append(.close("late", .ok(nil))) }
            #expect(appended?.code == .closed)
            #expect(appended?.outcome == .notWritten)
            for attempt in [
                { _ = try await stream.readAll() }, { _ = try await stream.claim() },
                { for try await _ in stream.tail() {} }, { for try await _ in journal.streams() {} },
            ] as [() async throws -> Void] {
                let error = await thrown { try await attempt() }
                #expect(error?.code == .closed)
            }
            await journal.close()
            try await withJournal(.quiet(url)) { other in
                let next = try await other.stream("s").nextPosition()
                #expect(next == 200)
            }
        }
    }

    @Test("an append that comes while close waits is waited for, or was not written: of none it is not known")
    func meanwhile() async throws {
        try await withTestDatabase { url in
            for round in 0..<6 {
                let journal = try await Journal.open(.quiet(url))
                let errors = try await withThrowingTaskGroup(of: JournalError?.self) { group in
                    for writer in 0..<8 {
                        let stream = try journal.stream("s\(round)/\(writer)")
                        group.addTask {
                            await thrown { while true { try await stream.append(.close("root", .ok(nil))) } }
                        }
                    }
                    for _ in 0..<20 { try await journal.stream("s\(round)").append(.close("root", .ok(nil))) }
                    await journal.close()
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                for error in errors {
                    #expect(error?.code == .closed)
                    #expect(error?.outcome == .notWritten)
                }
            }
        }
    }

    @Test("the sequence of listening states ends with the journal")
    func states() async throws {
        try await withTestDatabase { url in
            let journal = try await Journal.open(.quiet(url))
            let states = journal.listeningStates()
            await journal.close()
            for await _ in states {}
            for await _ in journal.listeningStates() {}
        }
    }

    @Test("a closed journal's connections are gone from the server, and so are those of one nobody holds any more")
    func connections() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                let count = """
                    select count(*) from pg_stat_activity
                    where datname = current_database() and application_name = 'durable-streams'
                    """
                for closes in [true, false] {
                    var journal: Journal? = try await Journal.open(.quiet(url))
                    let names = (0..<8).map { "s\($0)" }
                    for name in names { try await journal?.stream(name).append(.close("root", .cancelled)) }
                    if let stream = try journal?.stream("s0") { for try await _ in stream.tail(untilClose: true) {} }
                    #expect(try await sql.integer(count) > 1)
                    if closes { await journal?.close() }
                    weak let remains = journal
                    journal = nil
                    #expect(remains == nil)
                    try await until { try await sql.integer(count) == 0 }
                }
            }
        }
    }

    @Test("a journal closes though tails cannot be told: its server is gone, or takes connections and does not answer")
    func tailsCannotBeTold() async throws {
        for isGone in [true, false] {
            // The notification itself would be tried for 30 seconds. Where the machine stands still for as long, once more.
            var isBrief = false
            for _ in 0..<3 where !isBrief { isBrief = try await timeToClose(isGone) < .seconds(20) }
            #expect(isBrief)
        }
    }

    private func timeToClose(_ isGone: Bool) async throws -> Duration {
        try await withPrivatePostgres { server in
            let journal = try await Journal.open(.quiet(server.databaseURL), migrate: true)
            try await journal.stream("s").append(.close("root", .cancelled))
            await journal.flush()
            let postmaster = try String(contentsOfFile: "\(server.dataDirectory)/postmaster.pid", encoding: .utf8)
            let processID = try #require(postmaster.split(separator: "\n").first.flatMap { pid_t($0) })
            if isGone { await server.kill() } else { kill(processID, SIGSTOP) }
            journal.announce([try StreamName("s")])
            let start = ContinuousClock.now
            await journal.close()
            defer { if !isGone { kill(processID, SIGCONT) } }
            return ContinuousClock.now - start
        }
    }

    #if os(Linux)
        @Test("opening, using and closing journals leaves neither threads nor file descriptors behind")
        func leaks() async throws {
            try await withTestDatabase { url in
                // In a process of its own, since other tests open and close things in this one.
                await #expect(processExitsWith: .success) { [url = url as String] in
                    func count(_ what: String) throws -> Int {
                        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/\(what)").count
                    }
                    func cycle() async throws {
                        try await withJournal(.quiet(url)) { journal in
                            let stream = try journal.stream("s")
                            let tail = Task { for try await _ in stream.tail() {} }
                            for n in 0..<4 { try await journal.stream("s\(n)").append(.close("root", .cancelled)) }
                            for await state in journal.listeningStates() where state == .listening { break }
                            tail.cancel()
                        }
                    }
                    for _ in 0..<3 { try await cycle() }
                    // The last of a journal's threads and descriptors go a moment after its close: a few more either time.
                    let (descriptors, threads) = (try count("fd"), try count("task"))
                    for _ in 0..<15 { try await cycle() }
                    try await until { try count("fd") <= descriptors + 4 && (try count("task")) <= threads + 4 }
                }
            }
        }
    #endif
}
