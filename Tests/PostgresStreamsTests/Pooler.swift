import Foundation
import PostgresStreams
import PrivatePostgres

/// A PgBouncer, for as long as it is held.
final class Pooler: Sendable {
    let url: String
    let port: Int
    private let process: Process
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

    init(to server: PrivatePostgres, database: String, mode: Mode, maximumClients: Int = 100) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("pooler-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        port = try Self.freePort()
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
        """.write(to: file, atomically: true, encoding: .utf8)
        (process, lifeline) = try Self.start(file)
        url = "postgresql://postgres@127.0.0.1:\(port)/\(database)?sslmode=disable"
        while (try? LocalSocket.connected(port: port)) == nil {
            guard process.isRunning else { throw DidNotStart() }
        }
    }

    private static func start(_ file: URL) throws -> (Process, LocalSocket) {
        let (ours, theirs) = try LocalSocket.pair()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments =
            ["-c", #"exec 3<&0; (read -r _ <&3; kill $$) & exec "$@""#, "pooler", program ?? "", "-q"]
            // It refuses to be root.
            + (geteuid() == 0 ? ["-u", "nobody"] : []) + [file.path]
        process.standardInput = FileHandle(fileDescriptor: theirs.descriptor, closeOnDealloc: false)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.runWithSignals()
        return (process, ours)
    }

    /// From here on its connections are to another database of the server, in place of the one it was made for: as after a
    /// failover that it went along with.
    func goOver(to other: String) throws {
        let file = folder.appendingPathComponent("pgbouncer.ini")
        let text = try String(contentsOf: file, encoding: .utf8)
        try text.replacingOccurrences(of: " user=postgres", with: " dbname=\(other) user=postgres")
            .write(to: file, atomically: false, encoding: .utf8)
        kill(process.processIdentifier, SIGHUP)
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
        let pooler = try Pooler(to: server, database: database, mode: mode)
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
        let pooler = try Pooler(to: server, database: database, mode: .transaction)
        defer { pooler.stop() }
        let proxy = try WireProxy(to: pooler.port)
        defer { proxy.close() }
        proxy.setDelay(delay)
        let seen = "postgresql://postgres@127.0.0.1:\(proxy.port)/\(database)?sslmode=disable&gssencmode=disable"
        try await withJournal(.quiet(seen)) { journal in try await body(proxy, journal) }
    }
}
