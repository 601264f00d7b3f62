import Foundation
import PostgresStreams
import PrivatePostgres
import StreamStress

/// A server of its own with a proxy before it, and what can be done to both.
struct FaultScene {
    /// What a run of the fault suite is about.
    enum Kind: String, Sendable, CaseIterable {
        /// Faults at any message in either direction, by chance.
        case wire
        /// The server's processes are terminated, cancelled, killed; it is stopped at once, killed, restarted.
        case server
        /// Limits, time-outs, read-only, locks: the server is there and will not.
        case refusals
        case everything
    }
    /// As many as the server takes: some more than the journals of a run have.
    private static let connections = 40

    let server: PrivatePostgres
    let proxy: WireProxy
    let seed: UInt64

    static func with<R: Sendable>(seed: UInt64, _ body: (FaultScene) async throws -> R) async throws -> R {
        try await withPrivatePostgres(.init(tcp: true, settings: ["max_connections": "\(connections)"])) { server in
            let proxy = try WireProxy(to: server.port)
            defer { proxy.close() }
            proxy.set(WireChaos(seed: seed))
            try await Migrator(.quiet(server.databaseURL)).migrate()
            return try await body(FaultScene(server: server, proxy: proxy, seed: seed))
        }
    }

    /// What the journals of a run connect by; the deadlines are short, so that all ways of failing come up.
    private func configuration(_ url: String) -> JournalConfiguration {
        var configuration = JournalConfiguration.quiet(url)
        configuration.appendDeadline = .seconds(3)
        configuration.readDeadline = .seconds(3)
        configuration.applicationName = "victim"
        configuration.listening.probeInterval = .seconds(2)
        configuration.listening.probeTimeout = .seconds(1)
        configuration.listening.checkInterval = .seconds(2)
        return configuration
    }

    func run(_ kind: Kind, _ duration: Duration) async throws -> StressReport {
        var plan = StressPlan()
        plan.duration = duration
        plan.rate = 400
        plan.seed = seed
        let direct = configuration(server.databaseURL)
        let proxied = configuration(
            "postgresql://postgres:\(server.password)@127.0.0.1:\(proxy.port)/postgres?sslmode=disable&gssencmode=disable"
        )
        var checking = JournalConfiguration.quiet(server.databaseURL)
        checking.applicationName = "checker"
        let isOnWire = kind == .wire || kind == .everything
        let run = StressRun(
            plan: plan,
            writing: isOnWire ? [proxied, proxied, direct] : [direct, direct],
            reading: isOnWire ? proxied : direct,
            checking: checking
        )
        return try await run.run(disruptor(kind))
    }

    private func disruptor(_ kind: Kind) -> Disruptor {
        let kinds =
            switch kind {
            case .wire: wire
            case .server: processes + restarts
            case .refusals: refusals
            case .everything: wire + processes + refusals + restarts.prefix(2)
            }
        return Disruptor(kinds, pause: 0.1...0.8) { [self] in try await calm() }
    }

    /// All is well again: what was set is reset, what was held is let go, the server runs.
    private func calm() async throws {
        proxy.refuse(false)
        proxy.setChance(oneIn: nil)
        try await server.start()
        // It may still be in recovery.
        let deadline = ContinuousClock.now + .seconds(300)
        while true {
            do {
                return try await administer("alter database postgres reset all")
            } catch {
                guard ContinuousClock.now < deadline else { throw error }
            }
        }
    }

    /// From another database, where nothing is set that would be in our own way.
    private func administer(_ sql: String) async throws { try await server.psql(sql, database: "template1") }

    // MARK: On the wire

    private var wire: [Disruptor.Kind] {
        [
            .init("a while of faults by chance on the wire") { [proxy] random in
                proxy.setChance(oneIn: [20, 100, 400].randomElement(using: &random))
                try await Task.sleep(for: .milliseconds(Int.random(in: 200...1500, using: &random)))
                proxy.setChance(oneIn: nil)
            },
            .init("all connections cut") { [proxy] _ in proxy.endConnections() },
            .init("connections refused for a while, and cut") { [proxy] random in
                proxy.refuse(true)
                proxy.endConnections()
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...500, using: &random)))
                proxy.refuse(false)
            },
        ]
    }

    // MARK: The server's processes

    private static let victims = "from pg_stat_activity where application_name = 'victim'"

    private var processes: [Disruptor.Kind] {
        [
            .init("one backend terminated") { [server] _ in
                try await server.psql(
                    """
                    select pg_terminate_backend(pid) from (
                        select pid \(Self.victims) order by random() limit 1) v
                    """
                )
            },
            .init("all backends terminated") { [server] _ in
                try await server.psql("select pg_terminate_backend(pid) \(Self.victims)")
            },
            .init("all backends cancelled") { [server] _ in
                try await server.psql("select pg_cancel_backend(pid) \(Self.victims)")
            },
        ]
    }

    private var restarts: [Disruptor.Kind] {
        [
            .init("a backend killed with SIGKILL") { [server] _ in
                let pid = try await server.psql("select pid \(Self.victims) order by random() limit 1")
                if let pid = Int32(pid), pid > 1 { kill(pid, SIGKILL) }
            },
            .init("immediate stop and start") { [server] _ in try await server.restart(mode: .immediate) },
            .init("postmaster killed with SIGKILL, and start") { [server] _ in
                await server.kill()
                try await server.start()
            },
            .init("fast stop, a while, and start") { [server] random in
                await server.stop(mode: .fast)
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...4000, using: &random)))
                try await server.start()
            },
        ]
    }

    // MARK: A server that will not

    /// Sets something for all connections to come, cuts those there are, and takes it back after a while.
    private func whileSet(_ name: String, _ set: String, reset: String) -> Disruptor.Kind {
        .init(name) { random in
            try await administer(set)
            try await administer("select pg_terminate_backend(pid) \(Self.victims)")
            try await Task.sleep(for: .milliseconds(Int.random(in: 100...1500, using: &random)))
            try await administer(reset)
            // Those that got in meanwhile keep what they began with.
            try await administer("select pg_terminate_backend(pid) \(Self.victims)")
        }
    }

    private var refusals: [Disruptor.Kind] {
        func setting(_ setting: String, _ value: String) -> Disruptor.Kind {
            whileSet(
                "\(setting) = \(value) for a while",
                "alter database postgres set \(setting) = '\(value)'",
                reset: "alter database postgres reset \(setting)"
            )
        }
        return [
            setting("statement_timeout", "2ms"), setting("idle_session_timeout", "20ms"),
            setting("idle_in_transaction_session_timeout", "1ms"), setting("default_transaction_read_only", "on"),
            setting("default_transaction_isolation", "serializable"), setting("lock_timeout", "1ms"),
            setting("synchronous_commit", "off"),
            .init("the connection limit reached for a while") { random in
                let takers = await takeConnections()
                _ = try? await takers.first?.run("select pg_terminate_backend(pid) \(Self.victims)")
                try await Task.sleep(for: .milliseconds(Int.random(in: 100...1000, using: &random)))
                for taker in takers { taker.close() }
            },
            .init("the tables locked for a while") { random in
                let time = Double.random(in: 0.1...1.5, using: &random)
                try await server.psql(
                    "begin; lock table durable_streams.events in access exclusive mode; select pg_sleep(\(time)); commit"
                )
            },
            .init("the tables locked for a while, and who waits is cancelled by the server") { random in
                let time = Double.random(in: 0.1...0.8, using: &random)
                try await server.psql(
                    """
                    begin; lock table durable_streams.events in access exclusive mode; select pg_sleep(\(time));
                    select pg_cancel_backend(pid) \(Self.victims) and wait_event_type = 'Lock'; commit
                    """
                )
            },
            .init("the streams' locks held for a while") { random in
                let time = Double.random(in: 0.1...1.5, using: &random)
                try await server.psql(
                    """
                    begin; select pg_advisory_xact_lock(hashtextextended('durable_streams/' || name, 0))
                    from durable_streams.streams order by name collate "C"; select pg_sleep(\(time)); commit
                    """
                )
            },
        ]
    }

    /// As many connections as there are to be had.
    private func takeConnections() async -> [SQLSession] {
        var sessions: [SQLSession] = []
        while sessions.count < Self.connections, let session = try? await SQLSession(server.databaseURL) {
            sessions.append(session)
        }
        return sessions
    }
}
