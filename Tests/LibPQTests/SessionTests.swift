import Dispatch
import PrivatePostgres
import Testing

@testable import LibPQ

@Suite("A session", .timeLimit(.minutes(10)))
struct SessionTests {
    private func open() async throws -> LiveSession {
        try await LiveSession.open(try await SessionServer.shared.server().url)
    }

    // MARK: Connecting

    @Test("tells where it is connected to and as what")
    func info() async throws {
        let server = try await SessionServer.shared.server()
        for url in [server.url, server.databaseURL] {
            var live = try LiveSession(SessionOptions(connectionString: url))
            let info = try await live.connected()
            #expect(info.serverVersion == server.serverVersion)
            #expect(info.port == "\(server.port)")
            #expect(info.isEncrypted == false)
            let isTCP = url == server.url
            #expect(info.host == (isTCP ? "127.0.0.1" : server.folder))
            #expect(info.place == (isTCP ? "127.0.0.1:\(server.port)" : "\(server.folder)/.s.PGSQL.\(server.port)"))
            #expect(await live.run("select pg_backend_pid()").integer == info.backendPID)
            try await live.close()
        }
    }

    @Test("tells where statements have brought it: in a transaction or not, and in which encoding")
    func standing() async throws {
        var live = try await open()
        func standing(after sql: String) async -> SessionStanding? {
            _ = await live.run(sql)
            return live.session.standing
        }
        func expect(_ sql: String, _ isInTransaction: Bool, _ encoding: String = "UTF8") async {
            let standing = await standing(after: sql)
            #expect(standing?.isInTransaction == isInTransaction, "\(sql)")
            #expect(standing?.clientEncoding == encoding, "\(sql)")
        }
        await expect("select 1", false)
        await expect("begin", true)
        await expect("select 1 / 0", true)
        await expect("rollback", false)
        await expect("begin", true)
        await expect("set local client_encoding = 'LATIN1'", true, "LATIN1")
        await expect("commit", false)
        try await live.close()
        #expect(live.session.standing == nil)
    }

    @Test("takes the connection string's word over our defaults, and insists on what must hold")
    func options() async throws {
        let url = try await SessionServer.shared.server().url
        func settings(_ suffix: String, _ change: (inout SessionOptions) -> Void) async throws -> String? {
            var options = SessionOptions(connectionString: url + suffix)
            change(&options)
            var live = try LiveSession(options)
            _ = try await live.connected()
            let sql = """
                select concat_ws(' ', current_setting('application_name'), current_setting('client_encoding'),
                    current_setting('work_mem'))
                """
            let text = await live.run(sql).text
            try await live.close()
            return text
        }
        let memory = [(keyword: "options", value: "-c work_mem=1MB")]
        #expect(try await settings("") { $0.defaults = memory } == "durable-streams UTF8 1MB")
        let suffix = "?application_name=mine&client_encoding=latin1&options=-c%20work_mem%3D2MB"
        #expect(try await settings(suffix) { $0.defaults = memory } == "mine UTF8 2MB")
        #expect(try await settings(suffix) { $0.overrides = memory } == "mine UTF8 1MB")
    }

    // MARK: Batches

    @Test("answers many batches that were sent at once, each with its own results, in order")
    func pipelined() async throws {
        var live = try await open()
        let outcomes = live.submit(
            (0..<300).map { number in .init("select $1", types: [.int8]) { $0.append(number) } }
        )
        var answers: [Int?] = []
        for await (index, outcome) in outcomes {
            #expect(index == answers.count)
            answers.append(outcome.integer)
        }
        #expect(answers == Array(0..<300))
        try await live.close()
    }

    @Test("sends a batch only once the one before it is answered, until it is told that it may go ahead")
    func oneAtATime() async throws {
        let server = try await SessionServer.shared.server()
        var live = try LiveSession(SessionOptions(connectionString: server.url))
        let pid = try await live.connected(goesAhead: false).backendPID
        let outcomes = live.submit([.init("select 1"), .init("select pg_sleep(3600)"), .init("select 2")])
        var told: [Bool?] = []
        for await (index, outcome) in outcomes {
            #expect(index == told.count)
            told.append(outcome.lost)
            if index == 0 { try await server.psql("select pg_terminate_backend(\(pid))") }
        }
        // Sent, and not sent.
        #expect(told == [nil, true, false])
        _ = try await live.ended()
    }

    @Test(
        "what waits for its turn is sent when it may go ahead, and told that it was not where the session is closed before"
    )
    func waiting() async throws {
        let server = try await SessionServer.shared.server()
        for goesAhead in [false, true] {
            var live = try LiveSession(SessionOptions(connectionString: server.url))
            _ = try await live.connected(goesAhead: false)
            let text = String(repeating: "x", count: 4 << 20)
            let outcomes = live.submit([
                .init("select pg_sleep(3600)"), .init("select length($1)", types: [.text]) { $0.append(text) },
                .init("select 1"),
            ])
            if goesAhead { live.session.goAhead() }
            live.session.close()
            var told: [Bool?] = []
            for await (_, outcome) in outcomes { told.append(outcome.lost) }
            #expect(told == [true, goesAhead, goesAhead])
            #expect(try await live.ended().reason == .closed)
        }
    }

    @Test("a batch that is refused does not keep those that wait behind it")
    func waitingBehindRefusal() async throws {
        let server = try await SessionServer.shared.server()
        var live = try LiveSession(SessionOptions(connectionString: server.url))
        _ = try await live.connected(goesAhead: false)
        let outcomes = live.submit([.init("select 1"), .init("no sql"), .init("select 3"), .init("select 4")])
        var words: [String?] = []
        for await (_, outcome) in outcomes { words.append(outcome.refusal ?? outcome.integer.map(String.init)) }
        #expect(words == ["1", "42601", "3", "4"])
        try await live.close()
    }

    @Test("gives a batch's results statement by statement")
    func severalStatements() async throws {
        var live = try await open()
        let results = try await live.run([
            .init("select 1"), .init("select 2 where false"), .init("create temp table t (n int)"),
            .init("insert into t values (1), (2)"), .init("select n from t order by n"),
        ]).get()
        #expect(results.map(\.commandTag) == ["SELECT 1", "SELECT 0", "CREATE TABLE", "INSERT 0 2", "SELECT 2"])
        #expect(results.map(\.rowCount) == [1, 0, 0, 0, 2])
        #expect(results[4].integer(row: 1, column: 0) == 2)
        try await live.close()
    }

    @Test("does a batch wholly or not at all; an error harms neither the one before nor the next")
    func errors() async throws {
        var live = try await open()
        _ = try await live.run("create temp table t (n int)").get()
        _ = try await live.run("insert into t values (1)").get()
        let outcome = await live.run([.init("insert into t values (2)"), .init("select 1/0"), .init("select 3")])
        #expect(outcome.refusal == "22012")
        #expect(await live.run("select array_agg(n)::text from t").text == "{1}")
        let outcomes = live.submit([
            .init("insert into t values (3)"), .init("insert into t values ('x')"), .init("insert into t values (4)"),
            .init("no sql"), .init("select array_agg(n order by n)::text from t"),
        ])
        var words: [String?] = []
        for await (_, outcome) in outcomes { words.append(outcome.refusal ?? outcome.text) }
        #expect(words == [nil, "22P02", nil, "42601", "{1,3,4}"])
        try await live.close()
    }

    @Test("gives an error's SQLSTATE, message, detail and hint, and quotes no detail where it is printed")
    func errorFields() async throws {
        var live = try await open()
        let sql = """
            do $$ begin
                raise exception 'no' using errcode = 'ZZ123', detail = 'a row', hint = 'a way';
            end $$
            """
        guard case .failure(.refused(let message)) = await live.run(sql) else {
            Issue.record("it was not refused")
            return
        }
        let expected = ServerMessage(
            severity: "ERROR",
            sqlState: "ZZ123",
            message: "no",
            detail: "a row",
            hint: "a way"
        )
        #expect(message == expected)
        #expect("\(message)" == "no (SQLSTATE ZZ123)")
        #expect(!message.endsConnection)
        try await live.close()
    }

    @Test("takes an error at the commit for a refusal, though the statements had succeeded")
    func commitError() async throws {
        let server = try await SessionServer.shared.server()
        try await server.createDatabase("commit_error")
        var live = try await LiveSession.open(server.databaseURL(database: "commit_error", tcp: true))
        let setUp = [
            "create table t (n int)",
            """
            create function refuse() returns trigger language plpgsql as $$ begin
                if new.n > 1 then raise exception 'too large' using errcode = '23514'; end if;
                return null;
            end $$
            """,
            """
            create constraint trigger late after insert on t deferrable initially deferred
            for each row execute function refuse()
            """,
        ]
        for sql in setUp { _ = try await live.run(sql).get() }
        let outcomes = live.submit([
            .init("insert into t values (1)"), .init("insert into t values (2)"), .init("insert into t values (0)"),
        ])
        var refusals: [String?] = []
        for await (_, outcome) in outcomes { refusals.append(outcome.refusal) }
        #expect(refusals == [nil, "23514", nil])
        #expect(await live.run("select array_agg(n order by n)::text from t").text == "{0,1}")
        try await live.close()
    }

    // MARK: Sizes

    @Test("carries 64 MiB there and back, twice at once")
    func large() async throws {
        var live = try await open()
        let text = String(repeating: "0123456789abcdef", count: 4 << 20)
        let outcomes = live.submit(
            (0..<2).map { _ in .init("select $1, length($1)", types: [.text]) { $0.append(text) } }
        )
        for await (_, outcome) in outcomes {
            let result = try #require(try outcome.get().last)
            #expect(result.integer(row: 0, column: 1) == text.utf8.count)
            // Not in the expectation, which would print both.
            let isSame = result.text(row: 0, column: 0) == text
            #expect(isSame)
        }
        try await live.close()
    }

    @Test("takes a large batch at once though the server does not read, and sends it when it does")
    func submitNeverBlocks() async throws {
        var holder = try await open()
        _ = try await holder.run("select pg_advisory_lock(4711)").get()
        var live = try await open()
        let text = String(repeating: "x", count: 32 << 20)
        // The first waits for the lock, and the server takes nothing meanwhile: 64 MiB fit into no socket's buffer.
        let outcomes = live.submit([
            .init("select pg_advisory_xact_lock(4711)"),
            .init("select length($1)", types: [.text]) { $0.append(text) },
            .init("select length($1)", types: [.text]) { $0.append(text) },
        ])
        // Here only if that did not wait.
        _ = try await holder.run("select pg_advisory_unlock(4711)").get()
        var lengths: [Int?] = []
        for await (_, outcome) in outcomes {
            #expect(throws: Never.self) { try outcome.get() }
            lengths.append(outcome.integer)
        }
        #expect(Array(lengths.dropFirst()) == [32 << 20, 32 << 20])
        try await live.close()
        try await holder.close()
    }

    @Test("gives many rows")
    func rows() async throws {
        var live = try await open()
        let result = try #require(try await live.run("select n from generate_series(1, 100000) n").get().last)
        #expect(result.rowCount == 100_000)
        #expect(result.integer(row: 99_999, column: 0) == 100_000)
        try await live.close()
    }

    // MARK: Prepared statements

    @Test("prepares a statement at its first use, once it is told that it may, and uses it again after an error")
    func prepared() async throws {
        var live = try await open()
        let count = "select count(*) from pg_prepared_statements"
        #expect(await live.run(count).integer == 0)
        live.session.usePreparedStatements()
        // The one that counts is prepared too.
        #expect(await live.run(count).integer == 1)
        func divide(_ divisor: Int) async -> LiveSession.Outcome {
            await live.run([.init("select 12 / $1", types: [.int8]) { $0.append(divisor) }])
        }
        #expect(await divide(3).integer == 4)
        #expect(await divide(0).refusal == "22012")
        #expect(await divide(4).integer == 3)
        #expect(await live.run(count).integer == 2)
        try await live.close()
    }

    @Test("prepares nothing any more once the server lacks a statement of ours, or has one that is not ours")
    func mixedUp() async throws {
        let command = LiveSession.Command("select 5")
        for (sql, sqlState) in [
            ("deallocate all", "26000"), ("prepare \(command.sent.0.name) as select 6", "42P05"),
        ] {
            var live = try await open()
            live.session.usePreparedStatements()
            if sqlState == "26000" { #expect(await live.run([command]).integer == 5) }
            #expect(await live.run(sql).refusal == nil)
            #expect(await live.run([command]).refusal == sqlState)
            #expect(await live.run([command]).integer == 5)
            let count = "select count(*) from pg_prepared_statements"
            let before = await live.run(count).integer
            #expect(await live.run("select 7").integer == 7)
            #expect(await live.run(count).integer == before)
            // Nor does it go ahead: there may be a pooler.
            let outcomes = live.submit([.init("select pg_terminate_backend(pg_backend_pid())"), .init("select 8")])
            var told: [Bool?] = []
            for await (_, outcome) in outcomes { told.append(outcome.lost) }
            #expect(told == [true, false])
            _ = try await live.ended()
        }
    }

    @Test("prepares several statements of one batch, and gives each its own results")
    func severalPrepared() async throws {
        var live = try await open()
        live.session.usePreparedStatements()
        let first = try await live.run([.init("select 1"), .init("select 2"), .init("select 3")]).get()
        let second = try await live.run([.init("select 1"), .init("select 4")]).get()
        #expect(first.map { $0.rowCount == 1 ? $0.integer(row: 0, column: 0) : nil } == [1, 2, 3])
        #expect(second.map { $0.rowCount == 1 ? $0.integer(row: 0, column: 0) : nil } == [1, 4])
        try await live.close()
    }

    @Test("prepares a statement anew that was skipped or refused when it was first to be prepared")
    func skippedPreparation() async throws {
        var live = try await open()
        live.session.usePreparedStatements()
        #expect(await live.run([.init("select n from late"), .init("select 2")]).refusal == "42P01")
        let skipped = await live.run("select 2")
        #expect(await live.run("create temp table late as select 7 as n").refusal == nil)
        let refused = await live.run("select n from late")
        #expect(skipped.integer == 2)
        #expect(refused.integer == 7)
        try await live.close()
    }

    @Test("a COPY, which would never end, ends the session", arguments: ["to stdout", "from stdin"])
    func copy(direction: String) async throws {
        var live = try await open()
        #expect(await live.run("create temp table t (n int)").refusal == nil)
        guard case .failure(.connectionLost(let failure, sent: true)) = await live.run("copy t \(direction)") else {
            Issue.record("it was answered")
            return
        }
        #expect(failure.message.contains("COPY"))
        #expect(try await live.ended() == failure)
    }

    // MARK: What comes by itself

    @Test("hands out notifications, with batches under way and without, in order")
    func notifications() async throws {
        let server = try await SessionServer.shared.server()
        var live = try LiveSession(SessionOptions(connectionString: server.url))
        let pid = try await live.connected().backendPID
        _ = try await live.run("listen \"Some channel\"").get()
        // Its own come before the answer to the batch that sent them.
        #expect(await live.run("select pg_notify('Some channel', '1é'), 7").text == "")
        try await server.psql("notify \"Some channel\", '2'; notify other, 'no'")
        try await server.psql("notify \"Some channel\"")
        var heard: [Notification] = []
        while heard.count < 3, let event = await live.next() {
            if case .notification(let notification) = event { heard.append(notification) }
        }
        #expect(heard.map(\.channel) == ["Some channel", "Some channel", "Some channel"])
        #expect(heard.map(\.payload) == ["1é", "2", ""])
        #expect(heard.map { Int($0.backendPID) == pid } == [true, false, false])
        try await live.close()
    }

    @Test("goes on after warnings and notices, in the middle of statements and between them")
    func notices() async throws {
        var live = try await open()
        let raise = "do $$ begin raise warning 'synchronous replication'; raise notice 'by the way'; end $$"
        _ = try await live.run(raise).get()
        _ = try await live.run(raise).get()
        #expect(await live.run("select 'on'").text == "on")
        try await live.close()
    }

    @Test("rings the timer once; a later setting replaces an earlier one, and none takes it back")
    func timer() async throws {
        var live = try await open()
        live.session.setTimer(at: .now - .seconds(1))
        #expect(await live.next()?.isTimer == true)
        live.session.setTimer(at: .now + .seconds(3600))
        live.session.setTimer(at: .now + .milliseconds(5))
        #expect(await live.next()?.isTimer == true)
        live.session.setTimer(at: .now + .seconds(3600))
        live.session.setTimer(at: nil)
        // Nothing is left to ring: the end comes next.
        live.session.close()
        #expect(await live.next()?.isEnd == true)
    }

    @Test("after a stand-still takes what came in meanwhile before it rings the timer")
    func answersBeforeTimer() async throws {
        var live = try await open()
        let pid = try #require(await live.run("select pg_backend_pid()").integer)
        let session = live.session
        let goesOn = DispatchSemaphore(value: 0)
        let (outcomes, told) = AsyncStream.makeStream(of: LiveSession.Outcome.self)
        // The session's thread stands still here.
        session.submit([
            Batch([LiveSession.Command("select 1").sent]) { _ in
                session.submit([
                    Batch([LiveSession.Command("select 2").sent]) {
                        session.setTimer(at: nil)
                        told.yield($0)
                        told.finish()
                    }
                ])
                session.setTimer(at: .now)
                goesOn.wait()
            }
        ])
        // When its server process is gone, the answer has been sent.
        let observer = try await open()
        let done = "select count(*) from pg_stat_activity where pid = \(pid) and state = 'idle' and query = 'select 2'"
        while await observer.run(done).integer != 1 {}
        _ = await observer.run("select pg_terminate_backend(\(pid))")
        while await observer.run("select count(*) from pg_stat_activity where pid = \(pid)").integer != 0 {}
        goesOn.signal()
        for await outcome in outcomes { #expect(outcome.integer == 2) }
        #expect(await live.next()?.isEnd == true)
        observer.session.close()
    }
}

extension Session.Event {
    var isTimer: Bool { if case .timer = self { true } else { false } }
    var isEnd: Bool { if case .ended = self { true } else { false } }
}
