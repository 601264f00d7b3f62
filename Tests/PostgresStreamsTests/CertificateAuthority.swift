import ChildProcesses
import Foundation

@testable import PrivatePostgres

/// A certificate authority of a test's own, by the `openssl` program, in a folder that goes with it.
final class CertificateAuthority: Sendable {
    private let folder: URL

    static let program = ServerBinaries.onPath("openssl")

    struct Failed: Error, CustomStringConvertible { let description: String }

    init(name: String) async throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("ca-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try await openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=\(name) -keyout ca.key "
                + "-out ca.crt"
        )
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// The file that a client verifies with.
    var certificate: String { folder.appendingPathComponent("ca.crt").path }

    /// A server's certificate and key for a host name, valid for so many days from now; below 0 it has expired.
    func issue(for host: String, days: Int = 2) async throws -> (certificate: Data, key: Data) {
        try "subjectAltName = DNS:\(host)\n".write(
            to: folder.appendingPathComponent("extensions"),
            atomically: true,
            encoding: .utf8
        )
        try await openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=\(host) -keyout server.key "
                + "-out server.csr"
        )
        try await openssl(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile extensions -days \(days) "
                + "-out server.crt"
        )
        return try (
            Data(contentsOf: folder.appendingPathComponent("server.crt")),
            Data(contentsOf: folder.appendingPathComponent("server.key"))
        )
    }

    /// Relative names are of the authority's folder.
    private func openssl(_ arguments: String) async throws {
        let words = arguments.split(separator: " ").map(String.init)
        let files: Set = ["ca.key", "ca.crt", "server.key", "server.csr", "server.crt", "extensions"]
        var command = Command(executable: Self.program ?? "openssl")
        // Where it names another libpq, there may be another OpenSSL beside it.
        command.environment["LD_LIBRARY_PATH"] = nil
        command.arguments = words.map { files.contains($0) ? folder.appendingPathComponent($0).path : $0 }
        guard let outcome = await command.run(), outcome.status == 0 else {
            throw Failed(description: "openssl \(arguments) failed")
        }
    }
}
