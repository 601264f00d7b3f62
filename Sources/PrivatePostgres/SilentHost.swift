#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A TCP port of this machine at which connections are taken and nothing is ever said: a host behind which packets vanish.
/// For tests.
package struct SilentHost: ~Copyable {
    package static let address = "127.0.0.1"

    package let port: Int
    private let descriptor: Int32

    package struct Unavailable: Error {
        package init() {}
    }

    package init() throws {
        #if canImport(Glibc)
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
            descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr(Self.address)
        // Port 0: one that is free. The kernel completes connections by itself, up to the backlog.
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let listens = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && listen(descriptor, 64) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        if !listens { throw Unavailable() }
    }

    deinit { _ = close(descriptor) }

    /// Returns when a client has connected and said something. Its connection stays.
    package func untilAsked() async {
        let descriptor = descriptor
        await onOwnThread {
            let client = accept(descriptor, nil, nil)
            var byte: UInt8 = 0
            _ = read(client, &byte, 1)
        }
    }

    /// A port at which nobody listens: it was free a moment ago.
    package static func freePort() throws -> Int {
        guard let port = LoopbackPort.free() else { throw Unavailable() }
        return port
    }
}
