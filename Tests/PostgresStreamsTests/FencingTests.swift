import PostgresStreams
import Testing
import TisynStreams

/// One writer: whatever the order in which an append and a claim meet at the stream's lock.
@Suite("Fencing", .serialized, .timeLimit(.minutes(10)))
struct FencingTests {
    private static let event = #"{"type":"close","coroutineId":"by hand","result":{"status":"ok"}}"#

    /// A journal, a connection to stop transactions with, and one to look with.
    private func withLocks(
        _ body: (_ journal: Journal, _ holder: SQLSession, _ observer: SQLSession) async throws -> Void
    ) async throws {
        // However long the machine takes until the observer has seen it wait.
        let patient = ConfigurationChange.with {
            $0.readDeadline = .seconds(300)
            $0.appendDeadline = .seconds(300)
        }
        try await withTestJournal(patient) { journal in
            let url = journal.configuration.databaseURL
            try await withSQL(url) { holder in
                try await withSQL(url) { observer in
                    for session in [holder, observer] { try await session.run("set search_path = durable_streams") }
                    try await body(journal, holder, observer)
                }
            }
        }
    }

    private enum Waiting: String {
        case claim = "query like '%claim(%'"
        /// An append, or, after its first second, what locks its stream before it.
        case append = "query ~ 'append_batch|insert into|pg_advisory_xact_lock'"
    }

    /// Returns once it waits for a lock.
    private func untilBlocked(_ waiting: Waiting, _ observer: SQLSession) async throws {
        try await until {
            try await observer.integer(
                """
                select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                    and \(waiting.rawValue)
                """
            ) > 0
        }
    }

    @Test("a claim waits for an append that is inside its transaction, and counts it")
    func appendThenClaim() async throws {
        try await withLocks { journal, holder, observer in
            let stream = try journal.stream("s")
            try await stream.append(.close("before", .cancelled))
            try await holder.run("begin")
            let appended = try await holder.run("select * from append('s', array['\(Self.event)']::json[], 1)")
            #expect(appended == [["written", "1", "0"]])
            async let claiming = stream.claim()
            try await untilBlocked(.claim, observer)
            try await holder.run("commit")
            let claim = try await claiming
            #expect(claim.position == 2)
            #expect("\(stream), \(claim)" == "s, s (epoch 1) from position 2")
            #expect(try await claim.stream.append(.close("after", .cancelled), expecting: 2) == 2)
            #expect(try await stream.readAll().map(\.coroutineID) == ["before", "by hand", "after"])
        }
    }

    @Test("an append that was rolled back is not counted by the claim that waited for it")
    func rolledBackAppendThenClaim() async throws {
        try await withLocks { journal, holder, observer in
            let stream = try journal.stream("s")
            try await stream.append(.close("before", .cancelled))
            try await holder.run("begin")
            try await holder.run("select * from append('s', array['\(Self.event)']::json[])")
            async let claiming = stream.claim()
            try await untilBlocked(.claim, observer)
            try await holder.run("rollback")
            let claim = try await claiming
            #expect(claim.position == 1)
            #expect(try await claim.stream.append(.close("after", .cancelled)) == 1)
        }
    }

    @Test(
        "an append that comes while a claim is inside its transaction is fenced once the claim commits",
        arguments: [1, 2]
    )
    func claimThenAppend(_ eventCount: Int) async throws {
        try await withLocks { journal, holder, observer in
            let stream = try journal.stream("s")
            let first = try await stream.claim()
            try await first.stream.append(.close("before", .cancelled))
            let events: [DurableEvent] = (0..<eventCount).map { .close("late.\($0)", .cancelled) }
            try await holder.run("begin")
            #expect(try await holder.run("select * from claim('s')") == [["2", "1"]])
            async let late = thrown { try await first.stream.append(contentsOf: events) }
            try await untilBlocked(.append, observer)
            try await holder.run("commit")
            let error = await late
            #expect(error?.code == .fenced)
            #expect(error?.outcome == .notWritten)
            #expect(error?.epoch == 1)
            #expect(error?.currentEpoch == 2)
            #expect(try await stream.readAll().map(\.coroutineID) == ["before"])
        }
    }

    @Test("an append that comes while a claim is inside its transaction is written when the claim rolls back")
    func rolledBackClaimThenAppend() async throws {
        try await withLocks { journal, holder, observer in
            let stream = try journal.stream("s")
            try await stream.append(.close("before", .cancelled))
            try await holder.run("begin")
            try await holder.run("select * from claim('s')")
            async let late = stream.append(.close("late", .cancelled))
            try await untilBlocked(.append, observer)
            try await holder.run("rollback")
            #expect(try await late == 1)
        }
    }

    @Test("a claim of a stream that another transaction is creating waits for it")
    func creation() async throws {
        try await withLocks { journal, holder, observer in
            try await holder.run("begin")
            try await holder.run("select * from append('new', array['\(Self.event)']::json[])")
            let stream = try journal.stream("new")
            async let claiming = stream.claim()
            try await untilBlocked(.claim, observer)
            async let late = outcome { try await stream.append(.close("late", .cancelled)) }
            try await untilBlocked(.append, observer)
            try await holder.run("commit")
            let claim = try await claiming
            // Which of the two comes first is open; what follows from it is not.
            switch try await late {
            case .success(let position):
                #expect(position == 1)
                #expect(claim.position == 2)
            case .failure(let error):
                #expect(error.code == .fenced)
                #expect(claim.position == 1)
            }
        }
    }

    @Test("a fenced writer stays fenced, in every way of appending, and learns both epochs")
    func forever() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            let first = try await stream.claim()
            let second = try await stream.claim()
            for round in 0..<3 {
                for (writer, epoch) in [(stream, nil), (first.stream, first.epoch)] as [(PostgresStream, Int?)] {
                    for attempt in [
                        { try await writer.append(.close("x", .cancelled)) },
                        { try await writer.append(.close("x", .cancelled), expecting: round) },
                        {
                            try await writer.append(contentsOf: [.close("x", .cancelled), .close("y", .cancelled)])
                                .lowerBound
                        },
                    ] as [() async throws -> Int] {
                        let error = await thrown { try await attempt() }
                        #expect(error?.code == .fenced)
                        #expect(error?.outcome == .notWritten)
                        #expect(error?.epoch == epoch)
                        #expect(error?.currentEpoch == second.epoch)
                    }
                }
                #expect(try await second.stream.append(.close("mine", .cancelled)) == round)
            }
            #expect(try await stream.readAll().map(\.coroutineID) == ["mine", "mine", "mine"])
        }
    }

    @Test("of several that claim at once each gets an epoch of its own, and the last one writes")
    func claimsAtOnce() async throws {
        try await withTestDatabase { url in
            let claims = try await withThrowingTaskGroup(of: (Int, Int, [Int]).self) { group in
                for writer in 0..<6 {
                    group.addTask {
                        try await withJournal(.quiet(url)) { journal in
                            let claim = try await journal.stream("s").claim()
                            var positions: [Int] = []
                            do {
                                for _ in 0..<20 {
                                    let event = DurableEvent.close(CoroutineID("\(writer)"), .cancelled)
                                    positions.append(try await claim.stream.append(event))
                                }
                            } catch let error as JournalError {
                                #expect(error.code == .fenced)
                                #expect(error.outcome == .notWritten)
                            }
                            return (claim.epoch, claim.position, positions)
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }
            }
            #expect(claims.map(\.0) == Array(1...6))
            #expect(claims.last?.2.count == 20)
            // Each epoch's events follow those of the one before, from the position its claim named.
            var next = 0
            for (epoch, position, positions) in claims {
                #expect(position == next, "epoch \(epoch)")
                #expect(positions == Array(position..<(position + positions.count)), "epoch \(epoch)")
                next += positions.count
            }
        }
    }

    @Test(
        "a claim that waited for an append answers the position behind it, whatever isolation the database prefers",
        arguments: ["read committed", "repeatable read", "serializable"]
    )
    func isolation(_ isolation: String) async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                let database = try await sql.value("select current_database()")
                try await sql.run("alter database \"\(database)\" set default_transaction_isolation = '\(isolation)'")
                let event = #"{"type":"close","coroutineId":"late","result":{"status":"ok"}}"#
                try await withJournal(.quiet(url)) { journal in
                    let stream = try journal.stream("s")
                    try await stream.append(.close("early", .cancelled))
                    try await sql.run("begin")
                    try await sql.run("select * from durable_streams.append('s', array['\(event)']::json[])")
                    async let claimed = stream.claim()
                    try await withSQL(url) { observer in
                        try await until {
                            try await observer.integer(
                                """
                                select count(*) from pg_stat_activity
                                where datname = current_database() and wait_event_type = 'Lock'
                                """
                            ) > 0
                        }
                    }
                    try await sql.run("commit")
                    let claim = try await claimed
                    #expect(claim.position == 2)
                    #expect(try await claim.stream.append(.close("mine", .cancelled), expecting: 2) == 2)
                }
                // By hand there is no answer rather than one that is out of date.
                let refusal = try await withSQL(url) {
                    try await $0.refusal("select * from durable_streams.claim('s')")
                }
                #expect(refusal == (isolation == "read committed" ? "00000" : "0A000"))
            }
        }
    }

    @Test("an append that is found to have been written before it was fenced waits for the standbys")
    func foundAndFenced() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { sql in
                try await sql.run("set search_path = durable_streams")
                func append(_ token: String) -> String {
                    """
                    select outcome || ' ' || coalesce(position::text, '-') from append('s',
                        array['{"type":"close","coroutineId":"root","result":{"status":"ok"}}']::json[], 0, null,
                        '\(token)'::uuid)
                    """
                }
                let (token, another) = (
                    "01020304-0506-0708-090a-0b0c0d0e0f10", "11020304-0506-0708-090a-0b0c0d0e0f10"
                )
                #expect(try await sql.value(append(token)) == "written 0")
                try await sql.run("select claim('s')")
                for (token, answer, writes) in [(token, "fenced 0", "t"), (another, "fenced -", "f")] {
                    try await sql.run("begin")
                    #expect(try await sql.value(append(token)) == answer)
                    // A commit that has written waits.
                    #expect(try await sql.value("select pg_current_xact_id_if_assigned() is not null") == writes)
                    try await sql.run("commit")
                }
            }
        }
    }
}
