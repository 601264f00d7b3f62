import ChildProcesses
import Foundation
import PostgresStreams
import PrivatePostgres

/// A PgBouncer, for as long as it is held.
final class Pooler: Sendable {
    let url: String
    let port: Int
    private let process: ChildProcess
    private let folder: URL
    /// Ends with this process, however it ends; and then the pooler does.
    private let lifeline: LocalSocket

    static let program: String? = {
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin"
        return path.split(separator: ":").map { "\($0)/pgbouncer" }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }()

    struct DidNotStart: Error {}

    /// When a server's connection is given to another client: after each transaction, or with the end of the client's.
    enum Mode: String, Sendable { case transaction, session }

    init(to server: PrivatePostgres, database: String, mode: Mode, maximumClients: Int = 100) async throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("pooler-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        // Nothing reserves a free port, so that another process may have been faster.
        var attempts = 5
        while true {
            let port = try Self.freePort()
            let file = folder.appendingPathComponent("pgbouncer.ini")
            try """
            [databases]
            \(database) = host=127.0.0.1 port=\(server.port) user=postgres password=\(server.password)
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = \(port)
            unix_socket_dir =
            auth_type = any
            pool_mode = \(mode.rawValue)
            max_client_conn = \(maximumClients)
            default_pool_size = \(mode == .session ? 16 : 4)
            log_connections = 0
            log_disconnections = 0
            """.write(to: file, atomically: true, encoding: .utf8)
            let log = folder.appendingPathComponent("log")
            let (process, lifeline) = try await Self.start(file, log: log)
            if try await Self.isUp(process, log: log) {
                (self.process, self.lifeline, self.port) = (process, lifeline, port)
                url = "postgresql://postgres@127.0.0.1:\(port)/\(database)?sslmode=disable"
                return
            }
            attempts -= 1
            guard attempts > 0 else { throw DidNotStart() }
        }
    }

    /// Waits until it listens; false where it cannot. That something listens at its port does not say that it does.
    private static func isUp(_ process: ChildProcess, log: URL) async throws -> Bool {
        // Some take it for running until its lifeline has ended too.
        while process.isRunning {
            let text = try String(contentsOf: log, encoding: .utf8)
            if text.contains("process up") { return true }
            if text.contains("FATAL") { return false }
            try await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    private static func start(_ file: URL, log: URL) async throws -> (ChildProcess, LocalSocket) {
        try Data().write(to: log)
        let (ours, theirs) = try LocalSocket.pair()
        let errors = try FileHandle(forWritingTo: log)
        defer { try? errors.close() }
        let process = try await ChildProcess(
            "/bin/sh",
            ["-c", #"exec 3<&0; (read -r _ <&3; kill $$) & exec "$@""#, "pooler", program ?? ""]
                // It refuses to be root.
                + (geteuid() == 0 ? ["-u", "nobody"] : []) + [file.path],
            environment: ProcessInfo.processInfo.environment,
            input: theirs.descriptor,
            errors: errors.fileDescriptor
        )
        return (process, ours)
    }

    /// From here on its connections are to another database of the server, in place of the one it was made for: as after a
    /// failover that it went along with.
    func goOver(to other: String) throws {
        let file = folder.appendingPathComponent("pgbouncer.ini")
        let text = try String(contentsOf: file, encoding: .utf8)
        try text.replacingOccurrences(of: " user=postgres", with: " dbname=\(other) user=postgres")
            .write(to: file, atomically: false, encoding: .utf8)
        process.send(SIGHUP)
    }

    /// Free again when this returns, for the pooler, which has no way to be given a socket.
    private static func freePort() throws -> Int { try LocalSocket.listening().port }

    func stop() {
        process.terminate()
        try? FileManager.default.removeItem(at: folder)
    }
}

/// Runs `body` with a migrated database of its own, by way of a pooler and directly.
func withPooler(
    _ mode: Pooler.Mode = .transaction,
    _ body: (_ pooled: String, _ direct: String) async throws -> Void
) async throws {
    let server = try await TestServer.shared.server()
    try await withTestDatabase { url in
        let database = try await withSQL(url) { try await $0.value("select current_database()") }
        let pooler = try await Pooler(to: server, database: database, mode: mode)
        defer { pooler.stop() }
        try await body(pooler.url, url)
    }
}

/// Runs `body` with a journal whose way to a pooler is seen.
///
/// - Parameter delay: what that way takes, in milliseconds and each direction.
func withSeenPooler(
    isFar delay: Int? = nil,
    _ body: (_ proxy: WireProxy, _ journal: Journal) async throws -> Void
) async throws {
    let server = try await TestServer.shared.server()
    try await withTestDatabase { url in
        let database = try await withSQL(url) { try await $0.value("select current_database()") }
        let pooler = try await Pooler(to: server, database: database, mode: .transaction)
        defer { pooler.stop() }
        let proxy = try WireProxy(to: pooler.port)
        defer { proxy.close() }
        proxy.setDelay(delay)
        let seen = "postgresql://postgres@127.0.0.1:\(proxy.port)/\(database)?sslmode=disable&gssencmode=disable"
        try await withJournal(.quiet(seen)) { journal in try await body(proxy, journal) }
    }
}
