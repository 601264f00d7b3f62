import LibPQ

/// What a connection means for the journal: who can read along, and what stands between.
extension ConnectionInfo {
    var tlsFinding: Finding {
        guard isEncrypted else { return unencryptedFinding }
        let text = "\(tlsProtocol ?? "TLS"), sslmode \(sslMode)"
        switch sslMode {
        case "verify-full": return .ok("tls", "\(text): the certificate and its host name are verified")
        case _ where isCertificateVerified:
            return .warning(
                "tls",
                "\(text): the certificate is verified, its host name is not",
                means: "anybody with a certificate of that authority can pose as the server",
                advice: "sslmode=verify-full"
            )
        default:
            return .warning(
                "tls",
                "\(text): the certificate is not verified",
                means: "somebody in the network's way can pose as the server",
                advice: "sslmode=verify-full and sslrootcert=FILE of the authority (or system, from libpq 16 on)"
            )
        }
    }

    private var unencryptedFinding: Finding {
        if host.hasPrefix("/") { return .ok("tls", "none needed: a unix socket") }
        if host == "localhost" || host == "::1" || host.hasPrefix("127.") {
            return .ok("tls", "none: the connection stays on this machine")
        }
        return .warning(
            "tls",
            "none, sslmode \(sslMode)",
            means: "whoever is in the network's way reads the events, and can change them",
            advice: "ssl = on at the server; sslmode=verify-full and sslrootcert=FILE here"
        )
    }

    /// Whether notifications come through one, only listening tells; see `HearingTest`.
    ///
    /// - Parameter runningPID: of the process that ran our statement.
    func poolerFinding(runningPID: Int?) -> Finding {
        guard let runningPID, runningPID != backendPID else {
            return .ok("pooler", "none, or one that keeps a connection for each client")
        }
        return .ok(
            "pooler",
            "one that runs statements on connections of its own choice",
            means: "appends, claims and reads work through it, without prepared statements"
        )
    }
}
