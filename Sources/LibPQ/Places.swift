/// Where a connection may be made to, in the order of the connection string, without those that let us wait in vain. No IO.
struct Places {
    /// A host as libpq takes it. Empty: not named, so that libpq's own settings and defaults count.
    struct Place: Equatable {
        var host: String
        var address: String
        var port: String
    }

    private(set) var all: [Place]
    /// How many of the connection string's hosts they are of, those counted too that did not answer.
    private(set) var hostCount: Int
    /// Whether they are what the connection string says, no more and no less: it then goes to libpq as it is.
    private var isAsGiven = true
    private let givesHosts: Bool
    private let givesAddresses: Bool

    /// - Throws: `ConnectionFailure` where the lists of hosts, addresses and ports do not belong together.
    init(_ settings: ConnectionString) throws(ConnectionFailure) {
        // One port is that of all hosts.
        let ports = settings.ports
        let count = max(1, settings.hosts.count, settings.addresses.count)
        for list in [settings.hosts, settings.addresses, ports.count == 1 ? [] : ports] {
            guard list.isEmpty || list.count == count else {
                throw ConnectionFailure(
                    .invalidConnectionString,
                    "the connection string is not valid: its hosts, their addresses and ports are not as many"
                )
            }
        }
        (givesHosts, givesAddresses) = (!settings.hosts.isEmpty, !settings.addresses.isEmpty)
        hostCount = count
        all = (0..<count).map { index in
            func element(_ list: [String]) -> String { list.indices.contains(index) ? list[index] : "" }
            return Place(
                host: element(settings.hosts),
                address: element(settings.addresses),
                port: ports.count == 1 ? ports[0] : element(ports)
            )
        }
    }

    /// The hosts whose addresses are to be looked up, each once.
    var names: [String] {
        var names: [String] = []
        for place in all where place.address.isEmpty && NameLookup.isName(place.host) && !names.contains(place.host) {
            names.append(place.host)
        }
        return names
    }

    /// Each of `names` becomes a place for each of its addresses; one without addresses is left out.
    mutating func resolve(_ addresses: [String: [String]]) {
        let names = Set(names)
        guard !names.isEmpty else { return }
        isAsGiven = false
        hostCount = 0
        all = all.flatMap { place in
            guard place.address.isEmpty, names.contains(place.host) else {
                hostCount += 1
                return [place]
            }
            let addresses = addresses[place.host] ?? []
            if !addresses.isEmpty { hostCount += 1 }
            return addresses.map { Place(host: place.host, address: $0, port: place.port) }
        }
    }

    /// Strikes out the place that did not answer, as libpq names it.
    mutating func strike(_ silent: Place) {
        let index = all.firstIndex { place in
            (place.host.isEmpty ? place.address : place.host) == silent.host
                && (place.address.isEmpty || Self.withoutZone(place.address) == Self.withoutZone(silent.address))
                && (place.port.isEmpty || place.port == silent.port)
        }
        all.remove(at: index ?? 0)
        isAsGiven = false
    }

    /// libpq does not say an IPv6 address's.
    private static func withoutZone(_ address: String) -> Substring { address.prefix { $0 != "%" } }

    /// The keywords that say so; none while the connection string does.
    var keywords: [(keyword: String, value: String)] {
        guard !isAsGiven, let only = all.first else { return [] }
        // An empty value would leave the connection string's own; with two that are empty it is a comma.
        let isEmpty = givesHosts && only.host.isEmpty || givesAddresses && only.address.isEmpty
        let places = all.count == 1 && isEmpty ? [only, only] : all
        var lists: [(keyword: String, values: [String])] = []
        if givesHosts { lists.append(("host", places.map(\.host))) }
        if givesAddresses || places.contains(where: { !$0.address.isEmpty }) {
            lists.append(("hostaddr", places.map(\.address)))
        }
        lists.append(("port", places.map { $0.port.isEmpty ? "5432" : $0.port }))
        return lists.map { ($0, $1.joined(separator: ",")) }
    }
}
