import LibPQ

/// Who the server says it is, at the start of a session.
struct Greeting: Sendable {
    var info: ConnectionInfo
    /// Something between us and the server runs our statements on connections of its own choice.
    var isBehindPooler: Bool
    var isInRecovery: Bool
    /// Transactions that do not ask to write cannot.
    var isReadOnly: Bool
    /// The isolation that transactions have which ask for none.
    var isolation: String
    /// When the server was started, in microseconds: no two are started in the same one.
    var serverStart: Int64?
    /// The way to the server and back, where it was measured.
    var way: Duration?
}

extension Greeting {
    /// What is asked, in one batch.
    static func questions(_ options: Link.Options) -> [Batch.Command] {
        let statements = options.statements
        guard options.schemaVersion != nil else { return [(statements.greeting, Parameters())] }
        var schema = Parameters()
        schema.append(options.schema.quoted)
        return [(statements.greeting, Parameters()), (statements.schemaVersion, schema)]
    }

    /// What came of it: a server that is fit, or why it is not.
    static func of(
        _ answers: Result<[QueryResult], BatchFailure>,
        _ info: ConnectionInfo,
        _ options: Link.Options
    ) -> Result<Greeting, JournalError> {
        let results: [QueryResult]
        switch answers {
        case .success(let answers): results = answers
        case .failure(let failure): return .failure(error(failure, schema: options.schema))
        }
        guard let own = results.first else { return .failure(JournalError(.unfit, "\(info.place) gave no answer")) }
        let encoding = own.text(row: 0, column: 3)
        guard encoding == "UTF8" else { return .failure(.wrongEncoding(encoding)) }
        let greeting = Greeting(
            info: info,
            isBehindPooler: own.integer(row: 0, column: 0) != info.backendPID,
            isInRecovery: own.bool(row: 0, column: 1),
            isReadOnly: own.text(row: 0, column: 2) == "on",
            isolation: own.text(row: 0, column: 4),
            serverStart: own.timestamp(row: 0, column: 5)
        )
        if options.needsPrimary, greeting.isInRecovery || greeting.isReadOnly {
            let reason = greeting.isInRecovery ? "a standby" : "read-only"
            return .failure(
                JournalError(
                    .unfit,
                    "\(info.place) is \(reason) and takes no appends: name the primary, or several hosts with "
                        + "target_session_attrs=read-write"
                )
            )
        }
        if let known = options.schemaVersion, let answer = results.last, let found = answer.integer(row: 0, column: 0) {
            if answer.bool(row: 0, column: 1) { return .failure(.hiddenRows(of: options.schema)) }
            if answer.bool(row: 0, column: 2) { return .failure(.renamed(options.schema)) }
            if found != known {
                return .failure(Migrator.mismatch(found: found, known: known, schema: options.schema))
            }
        }
        return .success(greeting)
    }

    private static func error(_ failure: BatchFailure, schema: SchemaName) -> JournalError {
        switch failure {
        case .connectionLost(let failure, _): return JournalError(failure)
        case .refused(let message):
            if [SQLState.undefinedTable, SQLState.invalidSchemaName].contains(message.sqlState) {
                return Migrator.missing(schema: schema)
            }
            var error = JournalError(ofOurs: message, outcome: nil)
            // A role's time-out may have met a lock or a busy moment; the next attempt may pass.
            let passes =
                SQLState.isWorthRetrying(message.sqlState) || SQLState.leavesOutcomeOpen(message.sqlState)
            error.code = passes ? .unreachable : .unfit
            return error
        }
    }
}

extension JournalError {
    static func hiddenRows(of schema: SchemaName) -> JournalError {
        JournalError(
            .unfit,
            "row-level security hides what schema \(schema.text) holds from this role: "
                + "alter table … disable row level security, or alter role … bypassrls"
        )
    }

    static func renamed(_ schema: SchemaName) -> JournalError {
        JournalError(
            .unfit,
            "schema \(schema.text) had another name when it was migrated, and its functions append where that name leads: "
                + "give it back by alter schema … rename"
        )
    }

    static func wrongEncoding(_ encoding: String) -> JournalError {
        JournalError(
            .unfit,
            "the database's encoding is \(encoding), a journal needs UTF8: "
                + "create database … encoding 'UTF8' template template0"
        )
    }
}
