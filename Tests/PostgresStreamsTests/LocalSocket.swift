import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// A stream socket of this machine that blocks and never raises SIGPIPE. Used by `SQLSession` and `WireProxy`.
///
/// It is closed with its last reference; `end` wakes whoever waits on it before.
final class LocalSocket: Sendable {
    let descriptor: Int32

    struct Failure: Error {
        let code = errno
    }

    private init(owning descriptor: Int32) {
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        #if canImport(Darwin)
            var on: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &on, socklen_t(MemoryLayout<Int32>.size))
        #endif
    }

    deinit { _ = close(descriptor) }

    #if canImport(Glibc)
        private static let stream = Int32(SOCK_STREAM.rawValue)
    #else
        private static let stream = SOCK_STREAM
    #endif

    /// Two ends of one connection.
    static func pair() throws -> (LocalSocket, LocalSocket) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, stream, 0, &ends) == 0 else { throw Failure() }
        return (LocalSocket(owning: ends[0]), LocalSocket(owning: ends[1]))
    }

    /// Listens on 127.0.0.1, at a port of the system's choice.
    static func listening() throws -> (socket: LocalSocket, port: Int) {
        let socket = LocalSocket(owning: newDescriptor())
        var address = loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            // The C calls take any kind of address through a pointer to the general one.
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
                guard bind(socket.descriptor, general, length) == 0, listen(socket.descriptor, 128) == 0 else {
                    return Int32(-1)
                }
                return getsockname(socket.descriptor, general, &length)
            }
        }
        guard status == 0 else { throw Failure() }
        return (socket, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// Connects to 127.0.0.1.
    static func connected(port: Int) throws -> LocalSocket {
        let socket = LocalSocket(owning: newDescriptor())
        var address = loopback(port: port)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
                connect(socket.descriptor, general, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Failure() }
        return socket
    }

    private static func newDescriptor() -> Int32 { socket(AF_INET, stream, 0) }

    private static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        address.sin_port = UInt16(port).bigEndian
        return address
    }

    /// Waits for the next connection; nil once the socket was ended.
    func accepted() -> LocalSocket? {
        let descriptor = accept(self.descriptor, nil, nil)
        return descriptor >= 0 ? LocalSocket(owning: descriptor) : nil
    }

    /// Sends all of it, or as much as the other side takes before it is gone.
    func send(_ bytes: some Collection<UInt8>) {
        #if canImport(Darwin)
            let flags: Int32 = 0
        #else
            let flags = Int32(MSG_NOSIGNAL)
        #endif
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { Foundation.send(descriptor, $0.baseAddress, $0.count, flags) }
            if sent < 0 && errno == EINTR { continue }
            guard sent > 0 else { return }
            rest = rest.dropFirst(sent)
        }
    }

    /// Waits for bytes; nil at the end.
    func receive() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            return count > 0 ? Array(buffer[..<count]) : nil
        }
    }

    /// The other side reads the end after what was sent; this side can still receive.
    func endSending() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    /// Both ways, at once: whoever waits here is woken.
    func end() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }
}
