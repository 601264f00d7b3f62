import LibPQ

/// Asks a server about itself, question by question, so that one it refuses costs no more than its answer. It only reads.
struct FactFinder {
    let conversation: Conversation
    let schema: SchemaName
    private(set) var facts: ServerFacts
    /// For each question that was refused.
    private(set) var refusals: [Finding] = []

    /// How long a question may take. A server that leaves one open ends the examination.
    static let patience = Duration.seconds(10)

    init(_ conversation: Conversation, _ schema: SchemaName) {
        self.conversation = conversation
        self.schema = schema
        facts = ServerFacts(schema: schema)
        facts.serverVersion = conversation.info.serverVersion
    }

    /// Asks everything.
    ///
    /// - Throws: when the connection is lost, or the server does not answer in time.
    mutating func find() async throws(JournalError) {
        try await askSettings()
        try await askRole()
        try await askSchema()
        try await askStandbys()
    }

    private static let settingNames = [
        "server_encoding", "transaction_read_only", "default_transaction_read_only", "default_transaction_isolation",
        "synchronous_commit", "synchronous_standby_names", "fsync", "full_page_writes", "statement_timeout",
        "transaction_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout", "autovacuum",
        "track_counts", "autovacuum_freeze_max_age", "max_connections", "superuser_reserved_connections",
        "reserved_connections", "session_replication_role", ServerFacts.neonSetting,
    ]

    private mutating func askSettings() async throws(JournalError) {
        var names = Parameters()
        names.append(array: Self.settingNames)
        let rows = try await ask(
            "the settings",
            "select name::text, setting::text, source::text from pg_catalog.pg_settings where name = any($1)",
            [.textArray],
            names
        )
        for row in rows { facts.settings[row[0]] = .init(value: row[1], source: row[2]) }
    }

    private mutating func askRole() async throws(JournalError) {
        let role = try await ask(
            "the role",
            """
            select pg_catalog.pg_backend_pid()::text, pg_catalog.pg_is_in_recovery()::text, current_user::text, r.rolsuper::text,
                r.rolconnlimit::text, d.datconnlimit::text
            from pg_catalog.pg_roles r, pg_catalog.pg_database d
            where r.rolname = current_user and d.datname = pg_catalog.current_database()
            """
        )
        if let row = role.first {
            facts.backendPID = Int(row[0])
            facts.isInRecovery = row[1] == "true"
            facts.role = row[2]
            facts.isSuperuser = row[3] == "true"
            facts.roleConnectionLimit = Int(row[4]) ?? -1
            facts.databaseConnectionLimit = Int(row[5]) ?? -1
        }
        let used = try await ask(
            "the connections",
            "select pg_catalog.sum(numbackends)::text from pg_catalog.pg_stat_database"
        )
        facts.usedConnections = used.first.flatMap { Int($0[0]) }
    }

    private mutating func askSchema() async throws(JournalError) {
        var name = Parameters()
        name.append(schema.text)
        let strangers = Statements.strangers(in: "$1", besides: Statements.definer(of: "$1"))
        let usable = try await ask(
            "the schema",
            """
            select pg_catalog.has_schema_privilege(n.oid, 'usage')::text,
                (\(Statements.isRenamed(schema)))::text, coalesce(\(strangers), '')
            from pg_catalog.pg_namespace n where n.nspname = $1
            """,
            [.text],
            name
        )
        if let row = usable.first {
            (facts.schemaUsable, facts.isRenamed, facts.strangers) = (row[0] == "true", row[1] == "true", row[2])
        }
        let tables = try await ask(
            "the tables",
            """
            select c.relname::text, c.relpersistence::text, pg_catalog.has_table_privilege(c.oid, 'select')::text,
                pg_catalog.has_table_privilege(c.oid, 'insert, update, delete, truncate')::text,
                pg_catalog.pg_has_role(c.relowner, 'usage')::text, coalesce(pg_catalog.array_to_string(c.reloptions, ','), ''),
                pg_catalog.age(c.relfrozenxid)::text, coalesce(pg_catalog.pg_stat_get_dead_tuples(c.oid), 0)::text,
                coalesce(pg_catalog.pg_stat_get_live_tuples(c.oid), 0)::text, pg_catalog.row_security_active(c.oid)::text
            from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where n.nspname = $1 and c.relname in ('migrations', 'streams', 'events') and c.relkind in ('r', 'p')
            """,
            [.text],
            name
        )
        for row in tables {
            facts.tables[row[0]] = .init(
                persistence: row[1],
                isReadable: row[2] == "true",
                isWritable: row[3] == "true",
                isOwned: row[4] == "true",
                options: row[5],
                age: Int(row[6]) ?? 0,
                deadRows: Int(row[7]) ?? 0,
                liveRows: Int(row[8]) ?? 0,
                isFiltered: row[9] == "true"
            )
        }
        let functions = try await ask(
            "the functions and the view",
            """
            select p.proname::text, pg_catalog.bool_and(pg_catalog.has_function_privilege(p.oid, 'execute'))::text
            from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
            where n.nspname = $1 group by 1
            union all
            select 'appends', (pg_catalog.has_table_privilege(c.oid, 'insert')
                and pg_catalog.has_column_privilege(c.oid, a.attnum, 'select'))::text
            from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = 'recorded_at'
            where n.nspname = $1 and c.relname = 'appends'
            """,
            [.text],
            name
        )
        for row in functions { facts.functions[row[0]] = row[1] == "true" }
        let triggers = try await ask(
            "the guards",
            """
            select t.tgname::text, t.tgenabled::text
            from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
            join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where n.nspname = $1 and not t.tgisinternal
            """,
            [.text],
            name
        )
        for row in triggers { facts.triggers[row[0]] = row[1] }
    }

    private mutating func askStandbys() async throws(JournalError) {
        guard !facts.isInRecovery else { return }
        let standbys = try await ask(
            "the standbys",
            """
            select pg_catalog.count(*)::text, pg_catalog.count(*) filter (where r.sync_state in ('sync', 'quorum'))::text,
                coalesce(pg_catalog.bool_or(r.sync_state is null), false)::text
            from pg_catalog.pg_stat_replication r
            where not exists (
                select from pg_catalog.pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')
            """
        )
        facts.standbys = standbys.first.map { row in
            .init(connected: Int(row[0]) ?? 0, synchronous: Int(row[1]) ?? 0, isHidden: row[2] == "true")
        }
        let usage = try await ask("the notification queue", "select pg_catalog.pg_notification_queue_usage()::text")
        facts.queueUsage = usage.first.flatMap { Double($0[0]) }
    }

    /// The rows of an answer, all columns of type text; null is empty. None where the server refuses the question.
    private mutating func ask(
        _ question: String,
        _ sql: String,
        _ types: [ParameterType] = [],
        _ parameters: Parameters = Parameters()
    ) async throws(JournalError) -> [[String]] {
        do {
            let statement = Statement(name: "", sql: sql, parameterTypes: types)
            guard let result = try await conversation.run((statement, parameters)).last else { return [] }
            return (0..<result.rowCount).map { row in
                (0..<result.columnCount).map { result.text(row: row, column: $0) }
            }
        } catch {
            guard error.code == .refused else { throw error }
            refusals.append(Self.finding(question, error))
            return []
        }
    }

    private static func finding(_ question: String, _ error: JournalError) -> Finding {
        let found = "\(question): \(error.message)"
        guard error.sqlState == SQLState.queryCanceled else {
            return .warning("questions", found, means: "this was not looked at", advice: nil)
        }
        return .problem(
            "timeouts",
            found,
            means: "even a short question is cancelled; appends are, again and again",
            advice: "alter role … reset statement_timeout, and look for who cancels"
        )
    }
}
