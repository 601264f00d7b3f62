#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What is known of a connection once it stands.
package struct ConnectionInfo: Sendable, Equatable {
    package var host: String
    package var port: String
    /// As `server_version_num`: 150004 is 15.4.
    package var serverVersion: Int
    /// What the other side calls itself; behind a pooler not the pid of the process that runs our statements.
    package var backendPID: Int
    package var isEncrypted: Bool
    /// `TLSv1.3`; nil where nothing is encrypted.
    package var tlsProtocol: String?
    /// libpq's `sslmode` as it counted for this connection.
    package var sslMode: String
    /// Whether the server's certificate is one of an authority's that libpq was told to trust: where there is a file of such,
    /// it looks, whatever the mode.
    package var isCertificateVerified: Bool

    init(_ connection: borrowing Connection) {
        host = connection.host
        port = connection.port
        serverVersion = Int(connection.serverVersion)
        backendPID = Int(connection.backendPID)
        isEncrypted = connection.isEncrypted
        tlsProtocol = isEncrypted ? connection.sslAttribute("protocol") : nil
        let settings = connection.settings(["sslmode", "sslrootcert"])
        sslMode = settings["sslmode"] ?? ""
        let named = settings["sslrootcert"] ?? ""
        let file = named.isEmpty ? (getenv("HOME").map { String(cString: $0) } ?? "") + "/.postgresql/root.crt" : named
        isCertificateVerified = isEncrypted && (sslMode.hasPrefix("verify-") || access(file, R_OK) == 0)
    }

    /// `host:port`, or the path of the unix socket.
    package var place: String { ConnectAttempt.place(host: host, port: port) }
}
