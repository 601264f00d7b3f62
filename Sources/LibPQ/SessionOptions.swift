/// How a session connects.
package struct SessionOptions: Sendable {
    /// A URI or key=value string, as libpq reads it; empty for libpq's own variables and defaults.
    package var connectionString: String
    /// What the server lists the connection under, unless the connection string says otherwise.
    package var applicationName: String
    /// Keywords that count where the connection string does not set them.
    package var defaults: [(keyword: String, value: String)]
    /// Keywords that count whatever the connection string says.
    package var overrides: [(keyword: String, value: String)]
    /// How long it may take to look up the hosts' names, and then to connect, shared by the hosts; a `connect_timeout` in the
    /// connection string is for each host instead. Where a host has several addresses, each has as much as the host once the
    /// one before did not answer.
    package var connectTimeout: Duration
    /// When the attempt ends in any case; what is left until then is shared by the hosts that are left.
    package var connectDeadline: ContinuousClock.Instant?
    /// Gives the password for each attempt to connect, in place of the connection string's, for as long as the addresses are
    /// looked up and then `connectTimeout` or, where that is longer, the connection string's; it is cancelled then, or where
    /// the session is closed.
    package var passwordProvider: PasswordProvider?
    /// The addresses of a host's name. Blocks; called on a thread of its own.
    var lookUp: @Sendable (_ name: String) -> NameLookup.Answer = NameLookup.addresses
    /// How long the session's thread stays awake after the answer to a batch that expects another, until the next such.
    package var busyWait: Duration

    package typealias PasswordProvider = @Sendable (LogInTarget) async throws -> String

    package init(
        connectionString: String,
        applicationName: String = "durable-streams",
        defaults: [(keyword: String, value: String)] = [],
        overrides: [(keyword: String, value: String)] = [],
        connectTimeout: Duration = .seconds(10),
        busyWait: Duration = .zero
    ) {
        self.connectionString = connectionString
        self.applicationName = applicationName
        self.defaults = defaults
        self.overrides = overrides
        self.connectTimeout = connectTimeout
        self.busyWait = busyWait
    }

    /// What goes to `PQconnectStartParams`: our defaults, then the connection string, which wins over them, then what
    /// must hold.
    var parameters: [(keyword: String, value: String)] {
        Self.deadPeerDetection + defaults
            + [("fallback_application_name", applicationName), ("dbname", connectionString)]
            + overrides + [("client_encoding", "UTF8")]
    }

    /// A host that vanished without a word is noticed after 10 to 12 s: idle for 5 s, then 3 probes 2 s apart; or after 15 s
    /// where what was sent stays unacknowledged, or does not fit (milliseconds here; Linux only, ignored elsewhere). Well
    /// before the 30 s that an append is tried for by default: with another primary there by then, it is settled there and
    /// not left unknown.
    private static let deadPeerDetection = [
        (keyword: "keepalives_idle", value: "5"), (keyword: "keepalives_interval", value: "2"),
        (keyword: "keepalives_count", value: "3"), (keyword: "tcp_user_timeout", value: "15000"),
    ]
}

extension SessionOptions {
    /// Where the connection string points, for messages: its hosts and ports, nothing else of it.
    package var target: String {
        guard case .success(let parsed) = ConnectionString.parse(connectionString) else { return "the server" }
        let hosts = parsed.hosts.isEmpty ? parsed.addresses : parsed.hosts
        guard !hosts.isEmpty else { return "the server of libpq's settings" }
        let places = hosts.indices.map { index in
            let port =
                parsed.ports.count == 1
                ? parsed.ports[0] : parsed.ports.indices.contains(index) ? parsed.ports[index] : ""
            return ConnectAttempt.place(host: hosts[index], port: port.isEmpty ? "5432" : port)
        }
        return ConnectionString.redacting(connectionString, in: places.joined(separator: ", "))
    }

    /// The database's name, where that can be told before there is a connection.
    package var database: String? {
        guard case .success(let parsed) = ConnectionString.parse(connectionString) else { return nil }
        return parsed.database.map {
            ConnectionString.redacting(connectionString, in: ConnectionString.withoutOptions($0))
        }
    }

    /// Why a connection string is none; nil where it is one.
    package static func fault(of connectionString: String) -> ConnectionFailure? {
        guard case .failure(let failure) = ConnectionString.parse(connectionString) else { return nil }
        return failure
    }

    /// Whether a connection string names several hosts and does not ask for the one that takes writes.
    package static func mayReachStandby(_ connectionString: String) -> Bool {
        guard hostCount(connectionString) > 1, case .success(let parsed) = ConnectionString.parse(connectionString),
            let attributes = parsed.targetSessionAttributes
        else { return false }
        return !["read-write", "primary"].contains(attributes)
    }

    /// How many hosts a connection string names; 1 where it names none or is none.
    package static func hostCount(_ connectionString: String) -> Int {
        guard case .success(let parsed) = ConnectionString.parse(connectionString) else { return 1 }
        return max(1, parsed.hosts.count, parsed.addresses.count)
    }
}
