/// Where a connection may be made to, in the order of the connection string, without those that let us wait in vain. No IO.
struct Places {
    /// A host as libpq takes it. Empty: not named, so that libpq's own settings and defaults count.
    struct Place: Equatable {
        var host: String
        var address: String
        var port: String
    }

    private(set) var all: [Place]
    /// Whether they are what the connection string says, no more and no less: it then goes to libpq as it is.
    private var isAsGiven = true

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
        all = all.flatMap { place in
            guard place.address.isEmpty, names.contains(place.host) else { return [place] }
            return (addresses[place.host] ?? []).map { Place(host: place.host, address: $0, port: place.port) }
        }
    }

    /// Strikes out the place that did not answer, as libpq names it.
    mutating func strike(_ silent: Place) {
        let index = all.firstIndex { place in
            (place.host.isEmpty ? place.address : place.host) == silent.host
                && (place.address.isEmpty || place.address == silent.address)
                && (place.port.isEmpty || place.port == silent.port)
        }
        all.remove(at: index ?? 0)
        isAsGiven = false
    }

    /// The keywords that say so; none while the connection string does.
    var keywords: [(keyword: String, value: String)] {
        guard !isAsGiven else { return [] }
        return [("host", all.map(\.host)), ("hostaddr", all.map(\.address)), ("port", all.map(\.port))]
            .filter { _, values in values.contains { !$0.isEmpty } }
            .map { keyword, values in (keyword, values.joined(separator: ",")) }
    }
}
