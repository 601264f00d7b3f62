import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The addresses of host names, each looked up on a thread of its own.
///
/// `getaddrinfo` blocks for as long as the resolver has patience, half a minute where no name server answers, and cannot be
/// told to give up. libpq calls it while it begins to connect; a session's thread must not, since it has timers to ring and
/// may be closed meanwhile. A thread whose answer nobody waits for any more ends when it comes.
final class NameLookup: Sendable {
    typealias Answer = Result<[String], Failure>

    struct Failure: Error, Equatable {
        /// In the resolver's words.
        var message: String
    }

    private let found = Mutex<[String: Answer]>([:])

    /// - Parameter wake: called behind each answer, on the thread that found it.
    init(
        of names: [String],
        by lookUp: @escaping @Sendable (_ name: String) -> Answer,
        wake: @escaping @Sendable () -> Void
    ) {
        for name in names {
            let isStarted = startThread { [self] in
                let answer = lookUp(name)
                found.withLock { $0[name] = answer }
                wake()
            }
            if !isStarted {
                found.withLock { $0[name] = .failure(Failure(message: "the process has no threads left")) }
            }
        }
    }

    /// Those that are there, by name.
    var answers: [String: Answer] { found.withLock { $0 } }

    /// What libpq would ask for a host that is no path and no address; blocks.
    static func addresses(of name: String) -> Answer {
        var hints = addrinfo()
        #if canImport(Glibc)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = SOCK_STREAM
        #endif
        // Owned: freed below.
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, nil, &hints, &list)
        guard status == 0 else { return .failure(Failure(message: String(cString: gai_strerror(status)))) }
        defer { freeaddrinfo(list) }
        var addresses: [String] = []
        var next = list
        while let entry = next?.pointee {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let count = socklen_t(text.count)
            if getnameinfo(entry.ai_addr, entry.ai_addrlen, &text, count, nil, 0, NI_NUMERICHOST) == 0 {
                addresses.append(String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
            }
            next = entry.ai_next
        }
        return .success(addresses)
    }

    /// Whether a host of a connection string is neither a socket's path nor an address.
    static func isName(_ host: String) -> Bool {
        guard !host.isEmpty, !host.hasPrefix("/"), !host.hasPrefix("@") else { return false }
        var address = in6_addr()
        return inet_pton(AF_INET, host, &address) != 1 && inet_pton(AF_INET6, host, &address) != 1
    }
}
