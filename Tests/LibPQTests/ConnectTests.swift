import Foundation
import PrivatePostgres
import Synchronization
import Testing

@testable import LibPQ

@Suite("Connecting", .timeLimit(.minutes(10)))
struct ConnectTests {
    private func failure(_ options: SessionOptions) async throws -> ConnectionFailure {
        var live = try LiveSession(options)
        return try await live.ended()
    }

    private func failure(_ connectionString: String) async throws -> ConnectionFailure {
        try await failure(SessionOptions(connectionString: connectionString, connectTimeout: .seconds(60)))
    }

    // MARK: Nobody there

    @Test("where nobody listens it fails at once, and says where")
    func unreachable() async throws {
        let port = try SilentHost.freePort()
        let failure = try await failure("host=127.0.0.1 port=\(port) dbname=d")
        #expect(failure.reason == .network)
        #expect(failure.message.contains("\(port)"))
        let socket = try await self.failure("host=/nowhere port=5432 dbname=d")
        #expect(socket.reason == .network)
        #expect(socket.message.contains("/nowhere/.s.PGSQL.5432"))
    }

    @Test("a host name that means nothing is a failure of the network")
    func unknownHost() async throws {
        // RFC 6761 §6.4: never resolves.
        #expect(try await failure("host=nobody.invalid dbname=d").reason == .network)
    }

    @Test("a host that never answers is given up in time, and is named")
    func silent() async throws {
        let host = try SilentHost()
        let failure = try await failure(
            SessionOptions(
                connectionString: "host=127.0.0.1 port=\(host.port) dbname=d sslmode=disable",
                connectTimeout: .milliseconds(50)
            )
        )
        #expect(failure.reason == .timedOut)
        #expect(failure.message == "no answer from 127.0.0.1:\(host.port) in time")
    }

    // MARK: Several hosts

    @Test("a host that never answers is passed over for the next")
    func silentThenReal() async throws {
        let server = try await SessionServer.shared.server()
        let host = try SilentHost()
        let string = """
            host=127.0.0.1,127.0.0.1,127.0.0.1 port=\(host.port),\(host.port),\(server.port) dbname=postgres user=postgres
            password=\(server.password) connect_timeout=5
            """
        var live = try LiveSession(SessionOptions(connectionString: string, connectTimeout: .seconds(120)))
        #expect(try await live.connected().port == "\(server.port)")
        #expect(await live.run("select 1").integer == 1)
        try await live.close()
    }

    @Test("a first host that uses up its time-out leaves the next its own, though the whole is no longer")
    func silentForTheWhole() async throws {
        let server = try await SessionServer.shared.server()
        let host = try SilentHost()
        let string = """
            host=127.0.0.1,127.0.0.1 port=\(host.port),\(server.port) dbname=postgres user=postgres
            password=\(server.password) connect_timeout=2
            """
        var failure: ConnectionFailure?
        // The other has no longer: where the machine stands still for so long, it is tried again.
        for _ in 0..<5 {
            var live = try LiveSession(SessionOptions(connectionString: string, connectTimeout: .seconds(2)))
            switch await live.next() {
            case .connected(let info):
                #expect(info.port == "\(server.port)")
                live.session.goAhead()
                return try await live.close()
            case .ended(let ended) where ended.reason == .timedOut: failure = ended
            case let event: throw LiveSession.Unexpected(description: "\(event.map { "\($0)" } ?? "nothing") came")
            }
        }
        Issue.record("the next host was not connected to: \(failure?.message ?? "")")
    }

    @Test("what is left until the deadline is shared by the hosts that are left, whatever each may have")
    func deadline() throws {
        let host = try SilentHost()
        let string = "host=127.0.0.1,127.0.0.1 connect_timeout=600"
        let patience = try firstPatience(string, host.port, connectDeadline: .now + .seconds(100))
        #expect(patience <= .seconds(50))
        #expect(patience > .seconds(2))
        #expect(throws: LiveSession.Unexpected.self) {
            try firstPatience(string, host.port, connectDeadline: .now - .seconds(1))
        }
    }

    @Test("an address of a name that does not answer is passed over for the name's next")
    func silentAddress() throws {
        let host = try SilentHost()
        let options = SessionOptions(
            connectionString: "host=localhost port=\(host.port) dbname=d sslmode=disable gssencmode=disable",
            connectTimeout: .milliseconds(500)
        )
        // The host listens at 127.0.0.1 only.
        var attempt = ConnectAttempt(options: options) {
            waitForEvents(on: $0, forWriting: $1, or: -1, for: min($2, .milliseconds(10))).isReady
                ? .ready : .interrupted
        }
        attempt.lookUp = { _ in .success(["127.0.0.1", "127.0.0.2"]) }
        guard case .failure(let failure) = attempt.run() else {
            Issue.record("a silent host was connected to")
            return
        }
        #expect(failure.message.contains("no answer from localhost:\(host.port) (127.0.0.1) in time; "), "\(failure)")
        #expect(failure.message.contains("127.0.0.2"), "\(failure)")
    }

    @Test("a host where nobody listens is passed over for the next")
    func refusedThenReal() async throws {
        let server = try await SessionServer.shared.server()
        let port = try SilentHost.freePort()
        let string = """
            host=127.0.0.1,127.0.0.1 port=\(port),\(server.port) dbname=postgres user=postgres
            password=\(server.password)
            """
        var live = try await LiveSession.open(string)
        try await live.close()
    }

    @Test("where no host answers all that were tried are named")
    func allSilent() async throws {
        let first = try SilentHost()
        let second = try SilentHost()
        let failure = try await failure(
            SessionOptions(
                connectionString: "host=127.0.0.1,127.0.0.1 port=\(first.port),\(second.port) dbname=d sslmode=disable",
                connectTimeout: .milliseconds(100)
            )
        )
        #expect(failure.reason == .timedOut)
        #expect(failure.message.contains("127.0.0.1:\(first.port)"))
        #expect(failure.message.contains("127.0.0.1:\(second.port)"))
    }

    @Test("a host whose packets vanish is given up in time, though the thread is woken while it connects")
    func wokenWhileConnecting() async throws {
        let host = try DeafHost()
        let begin = ContinuousClock.now
        var live = try LiveSession(
            SessionOptions(
                connectionString: "host=127.0.0.1 port=\(host.port) dbname=d sslmode=disable gssencmode=disable "
                    + "tcp_user_timeout=600000",
                connectTimeout: .seconds(2)
            )
        )
        for n in 0..<4 { live.session.setTimer(at: .now + .seconds(3600 - n)) }
        #expect(try await live.ended().reason == .timedOut)
        // The system itself would try for two minutes.
        #expect(ContinuousClock.now - begin < .seconds(100))
    }

    @Test(
        "of a refusal while connecting the SQLSTATE is known, in whatever language",
        arguments: [
            (
                "FATAL:  53300: sorry, too many clients already\nLOCATION:  InitProcess, proc.c:359", "53300",
                "FATAL:  sorry, too many clients already"
            ),
            (
                "connection to server at \"::1\", port 1 failed: ВАЖНО:  28P01: нет", "28P01",
                "connection to server at \"::1\", port 1 failed: ВАЖНО:  нет"
            ),
            ("FATAL:  3D000: a\nFATAL:  57P03: b", "57P03", "FATAL:  a\nFATAL:  b"),
            (
                "FATAL: no more connections allowed (max_client_conn)", nil,
                "FATAL: no more connections allowed (max_client_conn)"
            ),
        ]
    )
    func refusal(verbose: String, sqlState: String?, message: String) {
        let plain = ConnectAttempt.plain(verbose)
        #expect(plain.sqlState == sqlState)
        #expect(plain.message == message)
    }

    /// How long the first host may take: what the attempt first waits for at most.
    private func firstPatience(
        _ connectionString: String,
        _ port: Int,
        connectDeadline: ContinuousClock.Instant? = nil
    ) throws -> Duration {
        let patience = Mutex<Duration?>(nil)
        var options = SessionOptions(
            connectionString: connectionString + " port=\(port) dbname=d sslmode=disable",
            connectTimeout: .seconds(60)
        )
        options.connectDeadline = connectDeadline
        let attempt = ConnectAttempt(options: options) { _, _, wait in
            patience.withLock { $0 = $0 ?? wait }
            return .closed
        }
        guard case .failure(let failure) = attempt.run() else {
            throw LiveSession.Unexpected(description: "a silent host was connected to")
        }
        guard failure.reason == .closed else { throw LiveSession.Unexpected(description: "\(failure)") }
        return try #require(patience.withLock { $0 })
    }

    @Test("the connection string's time-out is each host's; without one they share the whole")
    func shares() throws {
        let host = try SilentHost()
        let port = host.port
        #expect(try firstPatience("host=127.0.0.1,127.0.0.1 connect_timeout=7", port) <= .seconds(7))
        #expect(try firstPatience("host=127.0.0.1,127.0.0.1 connect_timeout=7", port) > .seconds(2))
        #expect(try firstPatience("host=127.0.0.1,127.0.0.1,127.0.0.1", port) <= .seconds(20))
        #expect(try firstPatience("host=127.0.0.1,127.0.0.1,127.0.0.1", port) > .seconds(7))
        #expect(try firstPatience("host=127.0.0.1", port) > .seconds(20))
    }

    @Test("the connection string's time-out is a single host's too")
    func singleShare() throws {
        let host = try SilentHost()
        let patience = try firstPatience("host=127.0.0.1 connect_timeout=7", host.port)
        #expect(patience <= .seconds(7))
    }

    #if os(Linux)
        @Test("a host that vanished is noticed within 15 s, unless the connection string says otherwise")
        func deadPeer() throws {
            let host = try SilentHost()
            func options(_ more: String) throws -> [Int32] {
                let string = "host=127.0.0.1 port=\(host.port) dbname=d sslmode=disable gssencmode=disable \(more)"
                guard let connection = Connection(start: SessionOptions(connectionString: string).parameters) else {
                    throw LiveSession.Unexpected(description: "no connection was begun")
                }
                _ = connection.connectPoll()
                return [TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT].map { name in
                    var (value, size) = (Int32(-1), socklen_t(MemoryLayout<Int32>.size))
                    getsockopt(connection.socket, Int32(IPPROTO_TCP), name, &value, &size)
                    return value
                }
            }
            let ours = try options("")
            #expect(ours[0] + ours[1] * ours[2] <= 12)
            #expect((5_000...15_000).contains(ours[3]))
            let theirs = "keepalives_idle=60 keepalives_interval=20 keepalives_count=9 tcp_user_timeout=77000"
            #expect(try options(theirs) == [60, 20, 9, 77_000])
        }
    #endif

    // MARK: No entry

    @Test("a wrong password, a missing database or role is a refusal, and says nothing of the password")
    func refused() async throws {
        let server = try await SessionServer.shared.server()
        let refusals = [
            (
                server.databaseURL(database: "postgres", password: "hunter2", tcp: true),
                "password authentication failed"
            ),
            (server.databaseURL(database: "nowhere", tcp: true), "database \"nowhere\" does not exist"),
            (
                server.databaseURL(database: "postgres", user: "nobody", password: "hunter2"),
                "\"nobody\" does not exist"
            ),
        ]
        for (url, words) in refusals {
            let failure = try await failure(url)
            #expect(failure.reason == .refused)
            #expect(failure.message.contains(words), "\(failure)")
            #expect(!failure.message.contains("hunter2"))
            #expect(!failure.message.contains(server.password))
        }
    }

    @Test("what libpq says of several hosts is one line")
    func oneLine() async throws {
        let failure = try await failure("host=127.0.0.1,127.0.0.2 port=1 dbname=d")
        #expect(failure.message.contains("127.0.0.1") && failure.message.contains("127.0.0.2"), "\(failure)")
        #expect(failure.message.split(whereSeparator: \.isNewline).count == 1, "\(failure)")
    }

    @Test("what is no connection string ends the session so")
    func invalid() async throws {
        let failure = try await failure("nonsense")
        #expect(failure.reason == .invalidConnectionString)
    }

    @Test(
        "a password that is not escaped as it must be does not come back in the error",
        arguments: ["postgresql://u:hunter2/x@127.0.0.1/d", "postgresql://u:x@hunter2@127.0.0.1/d"]
    )
    func unescapedPassword(url: String) async throws {
        let failure = try await failure(url)
        #expect(!failure.message.contains("hunter2"), "\(failure)")
    }
}
