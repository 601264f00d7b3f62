import Foundation

/// A throw-away PostgreSQL server of this process's own: a fresh cluster in a temporary folder, reached by a unix
/// socket in that folder, with full durability. Used by the tests and by the command-line tool's `demo`.
///
/// It never outlives its owner: ``remove()``, the end of ``withPrivatePostgres(_:isolation:_:)``, the loss of the last
/// reference, and the end of this process by whatever means (SIGKILL included) all stop it and delete its folder; after
/// the last two that takes a moment. Who kills the warden with SIGKILL too, as whoever kills all processes of a session
/// does, leaves the folder, and maybe the server. See ``WardenScript``.
///
/// It never touches another server of the machine. Only the current user and root can reach it: the folder is private,
/// so the socket asks for no password; over TCP the superuser has a random one. Root runs it as `postgres`, `nobody` or
/// `daemon`, because PostgreSQL refuses root.
///
/// No call reacts to cancellation; each is bounded in time.
package final class PrivatePostgres: Sendable {
    package struct Options: Sendable {
        /// Also listen on 127.0.0.1, at a port that was free.
        package var tcp: Bool
        /// Server settings, for example `["wal_level": "logical"]`. They win over this module's; the port, the folder
        /// of the socket and the data directory cannot be set.
        package var settings: [String: String]
        /// The server's bin folder. Nil: `DURABLE_STREAMS_PG_BIN`, else a search.
        package var binaries: String?
        /// A running private server: the new one is a hot standby that streams from it. Its data, roles and passwords are
        /// the primary's; `select pg_promote()` makes it a primary of its own.
        package var primary: PrivatePostgres?

        package init(
            tcp: Bool = false,
            settings: [String: String] = [:],
            binaries: String? = nil,
            standbyOf primary: PrivatePostgres? = nil
        ) {
            self.tcp = tcp
            self.settings = settings
            self.binaries = binaries
            self.primary = primary
        }
    }

    package enum StopMode: String, Sendable {
        /// Cuts sessions and writes a checkpoint. Falls back to ``immediate`` after 30 s.
        case fast
        /// Cuts everything at once, as a crash of the server does; the next start recovers from the log.
        case immediate
    }

    /// The bin folder the server was started from.
    package let binaries: String
    /// The folder that holds everything, the socket too.
    package let folder: String
    package var dataDirectory: String { "\(folder)/data" }
    /// The port, which also names the socket; the same after a restart.
    package let port: Int
    /// As in libpq: 150020 is 15.20.
    package let serverVersion: Int
    /// The superuser's, needed over TCP only.
    package let password: String

    private let warden: Warden

    private init(warden: Warden, binaries: String, folder: String, port: Int, serverVersion: Int, password: String) {
        self.warden = warden
        self.binaries = binaries
        self.folder = folder
        self.port = port
        self.serverVersion = serverVersion
        self.password = password
    }

    /// Creates a cluster and starts its server; about a second.
    ///
    /// - Returns: a server that accepts connections.
    /// - Throws: `binariesMissing`, `invalidSetting`, or `startFailed` with the end of the server's log. Nothing is
    ///   left behind then.
    package static func start(_ options: Options = Options()) async throws(PrivatePostgresError) -> PrivatePostgres {
        let configuration = try ServerConfiguration(tcp: options.tcp, settings: options.settings)
        // A standby needs the very programs that wrote what it copies.
        let binaries = try await ServerBinaries.find(explicit: options.primary?.binaries ?? options.binaries).folder
        let warden = try await Warden.post(binaries: binaries, base: temporaryFolder)
        do {
            return try await start(binaries, configuration, options, by: warden)
        } catch {
            await warden.dismiss()
            throw error
        }
    }

    private static func start(
        _ binaries: String,
        _ configuration: ServerConfiguration,
        _ options: Options,
        by warden: Warden
    ) async throws(PrivatePostgresError) -> PrivatePostgres {
        let tcp = options.tcp
        let password = options.primary?.password ?? newPassword()
        let request = ([options.primary?.databaseURL ?? "", password] + configuration.lines + [""])
            .joined(separator: "\n")
        let prepared = try await ok(warden.ask(request), log: nil)
        guard let version = ServerVersion(programOutput: prepared.text), version.number >= 140_000 else {
            throw PrivatePostgresError(
                .binariesMissing,
                "\(binaries) holds \"\(prepared.text)\"; PostgreSQL 14 or newer is needed."
            )
        }
        // Nothing reserves a free port, so that another process may have been faster.
        var attempts = tcp ? 5 : 1
        while true {
            let port = tcp ? LoopbackPort.free() ?? 5432 : 5432
            attempts -= 1
            do {
                try await ok(warden.ask("start \(port)"), log: "\(prepared.folder)/log")
                return PrivatePostgres(
                    warden: warden,
                    binaries: binaries,
                    folder: prepared.folder,
                    port: port,
                    serverVersion: version.number,
                    password: password
                )
            } catch {
                guard attempts > 0, error.logTail.contains("Address already in use") else { throw error }
            }
        }
    }

    private static func newPassword() -> String {
        (0..<4).map { _ in String(UInt32.random(in: .min ... .max), radix: 36) }.joined(separator: "-")
    }

    /// The superuser `postgres` in database `postgres`, by the socket.
    package var databaseURL: String { databaseURL(database: "postgres") }

    /// A connection URI.
    ///
    /// - Parameters:
    ///   - user: nil is the superuser `postgres`.
    ///   - password: nil is the superuser's own; the socket asks for none.
    ///   - tcp: by 127.0.0.1, which ``Options/tcp`` must have asked for.
    ///   - port: of what stands before the server; nil: its own.
    package func databaseURL(
        database: String,
        user: String? = nil,
        password: String? = nil,
        tcp: Bool = false,
        port: Int? = nil
    ) -> String {
        let superuser = "postgres"
        return ConnectionURI(
            host: tcp ? .loopback : .socket(folder: folder),
            port: port ?? self.port,
            user: user ?? superuser,
            password: password ?? (tcp && (user ?? superuser) == superuser ? self.password : nil),
            database: database
        ).text
    }

    /// The process id of the running server (the postmaster); nil when it is stopped.
    package var processID: Int32? {
        let file = try? String(contentsOfFile: "\(dataDirectory)/postmaster.pid", encoding: .utf8)
        return file?.split(separator: "\n").first.flatMap { Int32($0) }
    }

    /// The last lines the server wrote to its log.
    package func logTail() async -> String {
        let path = "\(folder)/log"
        return await onOwnThread { ServerLog.tail(of: path) }
    }

    /// Starts the server again after ``stop(mode:)`` or ``kill()``; does nothing if it runs. The port stays.
    ///
    /// - Throws: `startFailed` with the end of the server's log; the data stays for another attempt.
    package func start() async throws(PrivatePostgresError) {
        try await Self.ok(warden.ask("start \(port)"), log: "\(folder)/log")
    }

    /// Stops the server and keeps its data. Does nothing if it is stopped. Returns when the process is gone.
    package func stop(mode: StopMode = .fast) async {
        _ = await warden.ask("stop \(mode.rawValue)")
    }

    /// Stops the server and starts it again on the same port and data.
    package func restart(mode: StopMode = .fast) async throws(PrivatePostgresError) {
        await stop(mode: mode)
        try await start()
    }

    /// Kills the postmaster with SIGKILL and returns when it is gone. Its sessions end when they notice, which a busy
    /// one does only after its statement; ``start()`` waits up to 10 s for them.
    package func kill() async {
        _ = await warden.ask("kill")
    }

    /// Stops the server at once, deletes its folder and returns when both are gone. Can be called again.
    package func remove() async {
        await warden.dismiss()
    }

    /// A socket's path may have 103 bytes at most (macOS; Linux 107), and the server's user must be able to reach the
    /// folder, which it often is not where root has its own `TMPDIR`.
    private static var temporaryFolder: String {
        let longest = 103 - "/pg-XXXXXX/.s.PGSQL.65535".utf8.count
        guard geteuid() != 0, let folder = ProcessInfo.processInfo.environment["TMPDIR"],
            folder.hasPrefix("/"), folder.utf8.count <= longest, FileManager.default.isWritableFile(atPath: folder)
        else { return "/tmp" }
        return folder.hasSuffix("/") ? String(folder.dropLast()) : folder
    }

    @discardableResult
    private static func ok(_ reply: Warden.Reply?, log: String?) async throws(PrivatePostgresError) -> Warden.Reply {
        guard let reply else { throw PrivatePostgresError(.startFailed, "The process that runs the server is gone.") }
        guard reply.isOk else {
            let path = log ?? "\(reply.folder)/log"
            throw PrivatePostgresError(
                .startFailed,
                "PostgreSQL did not start: \(reply.text).",
                logTail: await onOwnThread { ServerLog.tail(of: path) }
            )
        }
        return reply
    }
}
