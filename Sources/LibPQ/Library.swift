import CLibPQ

/// The libpq this process runs with, which need not be the one it was built with.
package enum Library {
    /// As `server_version_num`: 150004 is 15.4.
    package static var version: Int { Int(PQlibVersion()) }

    /// What it encrypts with, `OpenSSL` as a rule; nil where it was built without TLS, and before 15, which does not tell.
    package static var tlsLibrary: String? { PQsslAttribute(nil, "library").map { String(cString: $0) } }
}
