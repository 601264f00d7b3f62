import CLibPQ

/// One attempt to connect, without blocking but for what libpq blocks in: looking up a host name.
///
/// libpq tries the hosts of the connection string in turn, but in this mode leaves the time to us. Where a host swallows
/// our packets, the attempt begins again without it.
struct ConnectAttempt {
    let options: SessionOptions
    /// The addresses of a host's name.
    var addresses: (_ host: String) -> [String] = Places.addresses
    /// Waits for the socket, for writing or reading, at most so long.
    let wait: (_ socket: Int32, _ forWriting: Bool, _ patience: Duration) -> Waited

    enum Waited {
        /// The socket is. Only then libpq may be called: it takes the call itself for the sign that it can write, and would
        /// wait, and we with it, for a socket that cannot.
        case ready
        /// Something else woke us, or the time is over.
        case interrupted
        /// The session is being closed.
        case closed
    }

    private enum Obstacle: Error {
        /// Nothing came from there in time.
        case silence(Places.Place)
        case failure(ConnectionFailure)
    }

    func run() -> Result<Connection, ConnectionFailure> {
        let settings: ConnectionString
        switch ConnectionString.parse(options.connectionString) {
        case .success(let parsed): settings = parsed
        case .failure(let failure): return .failure(failure)
        }
        var places = Places(settings)
        // Without a `connect_timeout`, which is each host's, they share the whole.
        let share = settings.connectTimeout ?? options.connectTimeout / places.all.count
        var tried: [String] = []
        while !places.all.isEmpty {
            var patience = share
            if let deadline = options.connectDeadline {
                patience = min(patience, max(.zero, deadline - .now) / places.all.count)
            }
            guard let connection = Connection(start: options.parameters + places.keywords) else {
                return .failure(ConnectionFailure(.network, "libpq is out of memory"))
            }
            switch poll(connection, until: .now + patience) {
            case .success(let connection):
                connection.setDefaultErrorVerbosity()
                guard connection.setNonBlocking(), connection.enterPipelineMode() else {
                    return .failure(ConnectionFailure(.network, connection.errorMessage))
                }
                return .success(connection)
            case .failure(.silence(let place)):
                let name = Self.place(host: place.host, port: place.port)
                tried.append(
                    ConnectionString.redacting(options.connectionString, in: "no answer from \(name) in time")
                )
                places.strike(place, addresses: addresses)
            case .failure(.failure(let failure)):
                tried.append(failure.message)
                return .failure(
                    ConnectionFailure(failure.reason, sqlState: failure.sqlState, tried.joined(separator: "; "))
                )
            }
        }
        return .failure(ConnectionFailure(.timedOut, tried.joined(separator: "; ")))
    }

    private func poll(
        _ connection: consuming Connection,
        until deadline: ContinuousClock.Instant
    ) -> Result<Connection, Obstacle> {
        // libpq: behave as if PQconnectPoll had last returned PGRES_POLLING_WRITING.
        var forWriting = true
        guard !connection.isBad else { return .failure(.failure(refusal(connection))) }
        while true {
            let patience = deadline - .now
            guard patience > .zero else { return .failure(.silence(connection.place)) }
            switch wait(connection.socket, forWriting, patience) {
            case .ready: break
            case .interrupted: continue
            case .closed: return .failure(.failure(ConnectionFailure(.closed, "the session was closed")))
            }
            switch connection.connectPoll() {
            case PGRES_POLLING_OK: return .success(connection)
            case PGRES_POLLING_FAILED: return .failure(.failure(refusal(connection)))
            case PGRES_POLLING_READING: forWriting = false
            default: forWriting = true
            }
        }
    }

    private func refusal(_ connection: borrowing Connection) -> ConnectionFailure {
        let (sqlState, plain) = Self.plain(connection.errorMessage)
        let message = ConnectionString.redacting(options.connectionString, in: plain)
        // Some values libpq looks at only when it uses them: a port, an sslmode. To try again is no use.
        if message.hasPrefix("invalid ") {
            return ConnectionFailure(.invalidConnectionString, "the connection string is not valid: \(message)")
        }
        if let sqlState { return ConnectionFailure(.refused, sqlState: sqlState, message) }
        // Where there is none the words must do: a refusal reads "FATAL:".
        // A certificate that does not verify, and a server without TLS, will be the same at the next attempt.
        let isRefusal = ["FATAL:", "authentication", "certificate", "does not support SSL"].contains {
            message.contains($0)
        }
        return ConnectionFailure(isRefusal || connection.needsPassword ? .refused : .network, message)
    }

    /// The last SQLSTATE of a verbose message, and what it would be if it were not: in whatever language, "FATAL:  53300:
    /// sorry, …" and a line that says where in the server's source.
    static func plain(_ verbose: String) -> (sqlState: String?, message: String) {
        var sqlState: String?
        let lines = verbose.split(separator: "\n", omittingEmptySubsequences: false).compactMap { line -> String? in
            guard !line.hasPrefix("LOCATION:  ") else { return nil }
            guard let state = line.firstMatch(of: #/:\ \ (?<state>[0-9A-Z]{5}):\ /#) else { return String(line) }
            sqlState = String(state.output.state)
            return String(line[..<state.range.lowerBound]) + ":  " + String(line[state.range.upperBound...])
        }
        return (sqlState, lines.joined(separator: "\n").trimmingTrailingWhiteSpace())
    }

    static func place(host: String, port: String) -> String {
        host.hasPrefix("/") ? "\(host)/.s.PGSQL.\(port)" : "\(host):\(port)"
    }
}
