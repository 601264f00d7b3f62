#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Where a connection may be made to, in the order of the connection string, without those that let us wait in vain. No IO,
/// but for `addresses(of:)`.
struct Places {
    /// A host as libpq takes it. Empty: not named, so that libpq's own settings and defaults count.
    struct Place: Equatable {
        var host: String
        var address: String
        var port: String
    }

    private(set) var all: [Place]
    /// Whether all are left that the connection string names: it then goes to libpq as it is.
    private var isComplete = true

    init(_ settings: ConnectionString) {
        // One port is that of all hosts.
        let ports = settings.ports
        all = (0..<max(1, settings.hosts.count, settings.addresses.count)).map { index in
            func element(_ list: [String]) -> String { list.indices.contains(index) ? list[index] : "" }
            return Place(
                host: element(settings.hosts),
                address: element(settings.addresses),
                port: ports.count == 1 ? ports[0] : element(ports)
            )
        }
    }

    /// Strikes out the place that did not answer, as libpq names it. Of a host with several addresses the others stay: libpq
    /// goes over to the next by itself where one is refused, but not where nothing comes.
    mutating func strike(_ silent: Place, addresses: (_ host: String) -> [String]) {
        let index = all.firstIndex { place in
            (place.host.isEmpty ? place.address : place.host) == silent.host
                && (place.address.isEmpty || place.address == silent.address)
                && (place.port.isEmpty || place.port == silent.port)
        }
        let struck = all.remove(at: index ?? 0)
        isComplete = false
        // Without knowing which address it was, all would come again.
        guard struck.address.isEmpty, !struck.host.isEmpty, !silent.address.isEmpty else { return }
        let others = addresses(struck.host).filter { $0 != silent.address }
        let places = others.map { Place(host: struck.host, address: $0, port: struck.port) }
        all.insert(contentsOf: places, at: index ?? 0)
    }

    /// The keywords that leave only these places; none while that are all there are.
    var keywords: [(keyword: String, value: String)] {
        guard !isComplete else { return [] }
        return [("host", all.map(\.host)), ("hostaddr", all.map(\.address)), ("port", all.map(\.port))]
            .filter { _, values in values.contains { !$0.isEmpty } }
            .map { keyword, values in (keyword, values.joined(separator: ",")) }
    }

    /// The addresses of a host name, as libpq finds them; none of a socket's path. Blocks, as libpq does.
    static func addresses(of host: String) -> [String] {
        guard !host.hasPrefix("/"), !host.hasPrefix("@") else { return [] }
        var hints = addrinfo()
        #if canImport(Glibc)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = SOCK_STREAM
        #endif
        // Owned: freed below.
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
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
        return addresses
    }
}
