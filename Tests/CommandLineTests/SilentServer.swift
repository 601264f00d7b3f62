import Foundation

/// A TCP port of this machine at which a client is taken, listened to, and never answered.
struct SilentServer: ~Copyable {
    let port: Int
    private let descriptor: Int32

    struct Unavailable: Error {}

    init() throws {
        #if canImport(Glibc)
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
            descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        // Port 0: one that is free.
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let listens = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, length) == 0 && listen(descriptor, 8) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        if !listens { throw Unavailable() }
    }

    deinit { close(descriptor) }

    /// Returns when a client has connected and said something. The connection stays.
    func untilAsked() async {
        let descriptor = descriptor
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let client = accept(descriptor, nil, nil)
                var byte: UInt8 = 0
                _ = read(client, &byte, 1)
                continuation.resume()
            }
        }
    }
}
