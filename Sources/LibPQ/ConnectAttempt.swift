import CLibPQ

/// One attempt to connect, without blocking.
///
/// libpq tries the hosts of the connection string in turn, but in this mode leaves two things to us. It looks up the names of
/// hosts by a call that blocks: so it gets their addresses. And it waits for no answer: where a host swallows our packets, the
/// attempt begins again without it.
struct ConnectAttempt {
    let options: SessionOptions
    /// Blocks.
    var lookUp: @Sendable (_ name: String) -> NameLookup.Answer = NameLookup.addresses
    /// Ends a `wait`, from any thread.
    var wake: @Sendable () -> Void = {}
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
        var places: Places
        do throws(ConnectionFailure) { places = try Places(settings) } catch { return .failure(error) }
        var tried: [String] = []
        // Before the addresses are looked up: they may come together.
        let request = options.passwordProvider.map { provider in
            PasswordRequest(to: provider, for: LogInTarget(settings, places), wake: wake)
        }
        defer { request?.cancel() }
        if let failure = resolve(&places, for: settings.connectTimeout ?? options.connectTimeout, &tried) {
            return .failure(failure)
        }
        let password: [(keyword: String, value: String)]
        switch self.password(request, for: max(options.connectTimeout, settings.connectTimeout ?? .zero)) {
        case .success(let given): password = given
        case .failure(let failure): return .failure(failure)
        }
        // Without a `connect_timeout`, which is each host's, they share the whole.
        let share = settings.connectTimeout ?? options.connectTimeout / max(1, places.hostCount)
        while !places.all.isEmpty {
            var patience = share
            if let deadline = options.connectDeadline {
                patience = min(patience, max(.zero, deadline - .now) / places.all.count)
            }
            guard let connection = Connection(start: options.parameters + password + places.keywords) else {
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
                let address = NameLookup.isName(place.host) && !place.address.isEmpty ? " (\(place.address))" : ""
                tried.append(redacted("no answer from \(name)\(address) in time"))
                places.strike(place)
            case .failure(.failure(let failure)):
                tried.append(failure.message)
                return .failure(
                    ConnectionFailure(failure.reason, sqlState: failure.sqlState, tried.joined(separator: "; "))
                )
            }
        }
        return .failure(ConnectionFailure(.timedOut, tried.joined(separator: "; ")))
    }

    /// Finds the addresses of names. A failure where no place is left, or the session is being closed.
    private func resolve(_ places: inout Places, for patience: Duration, _ tried: inout [String]) -> ConnectionFailure?
    {
        let names = places.names
        guard !names.isEmpty else { return nil }
        if let mistake = mistake(in: places) { return mistake }
        var deadline = ContinuousClock.now + patience
        if let end = options.connectDeadline { deadline = min(deadline, end) }
        let lookup = NameLookup(of: names, by: lookUp, wake: wake)
        var answers = lookup.answers
        // There may be hosts that need none.
        var isAnyKnown = !places.all.allSatisfy { $0.address.isEmpty && names.contains($0.host) }
        var isShort = false
        while answers.count < names.count {
            isAnyKnown = isAnyKnown || answers.values.contains { (try? $0.get())?.isEmpty == false }
            if isAnyKnown, !isShort {
                isShort = true
                deadline = min(deadline, .now + min(Self.courtesy, patience / 4))
            }
            let patience = deadline - .now
            guard patience > .zero else { break }
            if case .closed = wait(-1, false, patience) { return Self.closed }
            answers = lookup.answers
        }
        var addresses: [String: [String]] = [:]
        for name in names {
            switch answers[name] {
            case .success(let found): addresses[name] = found
            case .failure(let failure): tried.append(redacted("host \(name) has no address: \(failure.message)"))
            case nil: tried.append(redacted("the address of host \(name) was not found in time"))
            }
        }
        places.resolve(addresses)
        guard places.all.isEmpty else { return nil }
        return ConnectionFailure(answers.count < names.count ? .timedOut : .network, tried.joined(separator: "; "))
    }

    /// Waits for the password. The keyword for libpq; none where the connection string says all there is to say.
    private func password(
        _ request: PasswordRequest?,
        for patience: Duration
    ) -> Result<[(keyword: String, value: String)], ConnectionFailure> {
        guard let request else { return .success([]) }
        var deadline = ContinuousClock.now + patience
        if let end = options.connectDeadline { deadline = min(deadline, end) }
        while true {
            switch request.answer {
            case .success(let password):
                // Empty, it would leave the connection string's; and libpq would read no further than a NUL.
                guard !password.isEmpty, !password.utf8.contains(0) else {
                    return .failure(ConnectionFailure(.network, "the password that was given is empty, or holds a NUL"))
                }
                return .success([("password", password)])
            case .failure(let error):
                let reason = withoutConnectionString("\(error)")
                return .failure(ConnectionFailure(.network, "no password was given: \(reason)"))
            case nil:
                let rest = deadline - .now
                guard rest > .zero else {
                    return .failure(ConnectionFailure(.timedOut, "no password was given in time"))
                }
                if case .closed = wait(-1, false, rest) { return .failure(Self.closed) }
            }
        }
    }

    /// Of an error that somebody else made, who may have been told it.
    private func withoutConnectionString(_ message: String) -> String {
        let string = options.connectionString
        let discreet = string.isEmpty ? message : message.replacing(string, with: "***")
        return String(discreet.prefix(500))
    }

    /// How long those whose names are not known yet keep their turn, once another could be connected to.
    private static let courtesy = Duration.seconds(1)

    /// What is wrong with the connection string whatever the addresses are. libpq looks at some values only when it uses them:
    /// it is given sockets that are not there, and gets no further.
    private func mistake(in places: Places) -> ConnectionFailure? {
        guard places.all.allSatisfy(\.address.isEmpty) else { return nil }
        let nowhere = places.all.map { _ in "/dev/null" }.joined(separator: ",")
        // With a password it looks for none in the password file.
        let probe = options.parameters + [("host", nowhere), ("password", "none")]
        guard let connection = Connection(start: probe), connection.isBad else { return nil }
        // It passes over one host for the next.
        let lines = connection.errorMessage.split(separator: "\n")
        guard !lines.isEmpty, lines.allSatisfy({ $0.hasPrefix("invalid ") }) else { return nil }
        return refusal(connection)
    }

    private static let closed = ConnectionFailure(.closed, "the session was closed")

    private func redacted(_ message: String) -> String {
        ConnectionString.redacting(options.connectionString, in: message)
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
            case .closed: return .failure(.failure(Self.closed))
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
        let message = redacted(plain)
        // Some values libpq looks at only when it uses them: a port, an sslmode. To try again is no use.
        if message.hasPrefix("invalid ") {
            return ConnectionFailure(.invalidConnectionString, "the connection string is not valid: \(message)")
        }
        if let sqlState {
            // The next password may be another.
            let isPassing = options.passwordProvider != nil && Self.passwordStates.contains(sqlState)
            return ConnectionFailure(isPassing ? .network : .refused, sqlState: sqlState, message)
        }
        // Where there is none the words must do: a refusal reads "FATAL:".
        // A certificate that does not verify, and a server without TLS, will be the same at the next attempt.
        let isRefusal = ["FATAL:", "authentication", "certificate", "does not support SSL"].contains {
            message.contains($0)
        }
        return ConnectionFailure(isRefusal || connection.needsPassword ? .refused : .network, message)
    }

    /// SQLSTATEs `invalid_password` and `invalid_authorization_specification`, which PAM's failures have.
    private static let passwordStates: Set = ["28P01", "28000"]

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
