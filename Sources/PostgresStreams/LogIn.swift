import LibPQ

/// Where a connection logs in, and as whom: what a password is asked for, see `JournalConfiguration.passwordProvider`.
///
/// As libpq understands the connection string, with its service file and environment.
public struct LogIn: Sendable, Hashable {
    /// Of a unix socket the host is its folder.
    public struct Place: Sendable, Hashable {
        public let host: String
        public let port: Int
    }

    /// The hosts, in the order in which they are tried. All are given the same password.
    public let places: [Place]
    public let user: String
    public let database: String
    /// `databaseURL` or `listenURL`, whole: it may hold a secret.
    public let connectionString: String

    init(_ target: LogInTarget, _ connectionString: String) {
        places = target.places.map { Place(host: $0.host, port: Int($0.port) ?? 5432) }
        user = target.user
        database = target.database
        self.connectionString = connectionString
    }
}

/// It shows where it leads and as whom, no secret.
extension LogIn: CustomStringConvertible, CustomReflectable {
    public var description: String {
        let places = places.map { $0.host.hasPrefix("/") ? $0.host : "\($0.host):\($0.port)" }.joined(separator: ",")
        return "\(user) at \(places), database \(database)"
    }

    public var customMirror: Mirror { Mirror(self, children: ["logIn": description], displayStyle: .struct) }
}
