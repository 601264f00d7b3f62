import ChildProcesses
import Foundation

@testable import PrivatePostgres

/// Stands between a journal and a server without TLS, and speaks TLS to the journal as poolers in front of servers do: an
/// answer is gathered, and goes out in records as great as there can be. By an `openssl s_server` for each connection, which
/// puts into one record what it reads at once.
final class TLSProxy: Sendable {
    let port: Int
    private let listener: LocalSocket
    private let serverPort: Int
    private let folder: URL

    init(to serverPort: Int, certificate: Data, key: Data) throws {
        self.serverPort = serverPort
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-proxy-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try certificate.write(to: folder.appendingPathComponent("server.crt"))
        try key.write(to: folder.appendingPathComponent("server.key"))
        (listener, port) = try LocalSocket.listening()
        Thread.detachNewThread { [listener, weak self] in
            while let client = listener.accepted() { Task { try? await self?.connect(client) } }
        }
    }

    deinit {
        listener.end()
        try? FileManager.default.removeItem(at: folder)
    }

    private func connect(_ client: LocalSocket) async throws {
        // PostgreSQL's request for TLS, in the plain.
        guard await onOwnThread({ client.receive() })?.count == 8 else { return client.end() }
        client.send([UInt8(ascii: "S")])
        let server = try LocalSocket.connected(port: serverPort)
        let (encrypted, plain, process) = try await startTLS()
        func pump(from source: LocalSocket, to target: LocalSocket, gathering: Bool = false) {
            Thread.detachNewThread {
                Self.pump(from: source, to: target, gathering: gathering)
                for socket in [client, encrypted, plain, server] { socket.end() }
                process.terminate()
            }
        }
        pump(from: client, to: encrypted)
        pump(from: encrypted, to: client)
        pump(from: plain, to: server)
        pump(from: server, to: plain, gathering: true)
    }

    private func startTLS() async throws -> (encrypted: LocalSocket, plain: LocalSocket, ChildProcess) {
        // Nothing reserves a free port, so that another process may have been faster.
        for _ in 0..<5 {
            if let started = try await startTLSOnce() { return started }
        }
        throw LocalSocket.Failure()
    }

    /// Nil where the program has ended.
    private func startTLSOnce() async throws -> (encrypted: LocalSocket, plain: LocalSocket, ChildProcess)? {
        // Free again when this returns, for the program, which has no way to be given a socket.
        let port = try LocalSocket.listening().port
        let (ours, theirs) = try LocalSocket.pair()
        let certificate = folder.appendingPathComponent("server.crt")
        let key = folder.appendingPathComponent("server.key")
        let process = try await ChildProcess(
            CertificateAuthority.program ?? "",
            ["s_server", "-quiet", "-accept", "127.0.0.1:\(port)", "-naccept", "1"]
                + ["-cert", certificate.path, "-key", key.path],
            // Where it names another libpq, there may be another OpenSSL beside it.
            environment: ProcessInfo.processInfo.environment.filter { $0.key != "LD_LIBRARY_PATH" },
            input: theirs.descriptor,
            output: theirs.descriptor
        )
        while process.isRunning {
            if let socket = try? LocalSocket.connected(port: port) { return (socket, ours, process) }
            try await Task.sleep(for: .milliseconds(1))
        }
        return nil
    }

    private static func pump(from source: LocalSocket, to target: LocalSocket, gathering: Bool) {
        var gathered: [UInt8] = []
        var isLoggedIn = false
        while let bytes = source.receive() {
            gathered += bytes
            // ReadyForQuery: a letter, its length, a state.
            let isComplete = gathered.suffix(6).starts(with: [UInt8(ascii: "Z"), 0, 0, 0, 5])
            guard !gathering || !isLoggedIn || isComplete else { continue }
            isLoggedIn = isLoggedIn || isComplete
            target.send(gathered)
            gathered = []
        }
    }
}
