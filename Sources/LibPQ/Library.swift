import CLibPQ

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The libpq this process runs with, which need not be the one it was built with.
package enum Library {
    /// As `server_version_num`: 150004 is 15.4.
    package static var version: Int { Int(PQlibVersion()) }

    /// What it encrypts with, `OpenSSL` as a rule; nil where it was built without TLS, and before 15, which does not tell.
    package static var tlsLibrary: String? { PQsslAttribute(nil, "library").map { String(cString: $0) } }

    /// OpenSSL's `SSL_pending`, of the library that libpq itself uses: this package links none, and another may be in the
    /// process. Nil where it is not found, as in a program that holds all its libraries.
    static let pendingTLSBytes: (@convention(c) (_ tls: UnsafeMutableRawPointer) -> Int32)? = {
        // Never closed: libpq stays as long as the process.
        guard let libpq = dlopen("libpq.so.5", RTLD_LAZY | RTLD_NOLOAD) ?? dlopen(nil, RTLD_LAZY),
            let symbol = dlsym(libpq, "SSL_pending")
        else { return nil }
        // Its type by OpenSSL's documentation: `int SSL_pending(const SSL *ssl)`.
        return unsafeBitCast(symbol, to: (@convention(c) (UnsafeMutableRawPointer) -> Int32).self)
    }()
}
