import PrivatePostgres

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A TCP port of this machine at which packets vanish: nobody takes its connections, and those that may wait are there.
struct DeafHost: ~Copyable {
    let port: Int
    private let descriptors: [Int32]

    init() throws {
        let host = Self.socket()
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listens = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(host, pointer, length) == 0 && listen(host, 0) == 0 && getsockname(host, pointer, &length) == 0
            }
        }
        guard listens else { throw SilentHost.Unavailable() }
        port = Int(UInt16(bigEndian: address.sin_port))
        let waiting = (0..<8).map { _ in
            let client = Self.socket()
            _ = fcntl(client, F_SETFL, O_NONBLOCK)
            _ = withUnsafePointer(to: address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(client, $0, length) }
            }
            return client
        }
        descriptors = [host] + waiting
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    private static func socket() -> Int32 {
        #if canImport(Glibc)
            Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #elseif canImport(Musl)
            Musl.socket(AF_INET, SOCK_STREAM, 0)
        #else
            Darwin.socket(AF_INET, SOCK_STREAM, 0)
        #endif
    }
}
