/// What the role may do, and whether the schema's guards hold.
extension ServerFacts {
    /// Functions to call; and the view to insert into.
    private static let neededToAppend = ["announce", "append_batch", "append_next", "appends", "claim", "resolve"]

    private static let neededTables = ["events", "migrations", "streams"]

    private static let guards = [
        "events_are_never_changed", "events_are_never_truncated", "events_positions_are_dense",
        "only_reservations_are_replaced", "streams_are_never_deleted", "streams_epoch_only_rises",
    ]

    var nameFinding: Finding? {
        guard isRenamed else { return nil }
        return .problem(
            "schema name",
            "it had another name when it was migrated",
            means: "its functions append where that name leads; the journal does not open",
            advice: "alter schema \(schema.quoted) rename to what it was"
        )
    }

    var strangersFinding: Finding? {
        guard !strangers.isEmpty else { return nil }
        return .problem(
            "schema rights",
            "others than whoever migrated it have objects in it, or could make some",
            means: "the functions would run them with that role's rights",
            advice: strangers
        )
    }

    var roleFinding: Finding? {
        guard let schemaUsable else { return nil }
        let check = "role"
        let advice =
            "by whoever may create roles and owns the schema: "
            + "psql -v 'schema=\(schema.inShellQuotes)' -f Migrations/roles.sql; then grant durable_streams_writer, or the "
            + "writer that was named there, to \(role.quotedIdentifier)"
        guard schemaUsable else {
            return .problem(
                check,
                "\(role) has no right to use the schema",
                means: "it can neither read nor append",
                advice: advice
            )
        }
        let unreadable = Self.neededTables.filter { tables[$0]?.isReadable == false }
        guard unreadable.isEmpty else {
            return .problem(
                check,
                "\(role) may not read \(unreadable.joined(separator: ", "))",
                means: "the journal cannot be opened",
                advice: advice
            )
        }
        let filtered = Self.neededTables.filter { tables[$0]?.isFiltered == true }
        guard filtered.isEmpty else {
            return .problem(
                check,
                "row-level security hides rows of \(filtered.joined(separator: ", ")) from \(role)",
                means: "what is recorded would pass for not recorded; the journal does not open",
                advice: filtered.map { "alter table \(schema.quoted).\($0) disable row level security" }
                    .joined(separator: "; ")
            )
        }
        let unusable = Self.neededToAppend.filter { functions[$0] == false }
        if unusable.count == Self.neededToAppend.count {
            // As a watcher is meant to be; a worker is not.
            return .warning(
                check,
                "\(role) reads and tails only",
                means: "enough for a watcher; appends and claims are refused",
                advice: "for a worker, \(advice)"
            )
        }
        guard unusable.isEmpty else {
            return .problem(
                check,
                "\(role) may not use \(unusable.joined(separator: ", "))",
                means: "it can read and tail, and not append, or not in every way",
                advice: advice
            )
        }
        if isSuperuser {
            return .warning(
                check,
                "\(role) is a superuser",
                means: "nothing on the server is safe from a mistake of this program",
                advice: "a log-in of its own for the program, with the writer role of Migrations/roles.sql"
            )
        }
        let owned = Self.neededTables.contains { tables[$0]?.isOwned == true }
        let writable = Self.neededTables.filter { tables[$0]?.isWritable == true }
        if !owned, !writable.isEmpty {
            return .warning(
                check,
                "\(role) may also write by itself to \(writable.joined(separator: ", "))",
                means: "the functions are enough; only the guards stand between such a write and the log",
                advice: "revoke insert, update, delete, truncate on "
                    + writable.map { "\(schema.quoted).\($0)" }.joined(separator: ", ")
                    + " from \(role.quotedIdentifier), or from public or the role that hands them on"
            )
        }
        return .ok(
            check,
            owned
                ? "\(role) owns the schema's tables"
                : "\(role) appends and claims through the functions and the view appends only",
            means: owned ? "enough; a program that only appends needs no more than the writer role" : nil
        )
    }

    /// The triggers of 0003_guards.sql.
    var guardFinding: Finding? {
        guard tables["events"] != nil else { return nil }
        if value("session_replication_role") == "replica" {
            return .problem(
                "guards",
                "session_replication_role is replica, \(origin("session_replication_role"))",
                means: "no trigger fires, so nothing refuses a change of the log",
                advice: remedy("session_replication_role")
            )
        }
        let missing = Self.guards.filter { !["O", "A"].contains(triggers[$0]) }
        guard missing.isEmpty else {
            return .warning(
                "guards",
                "missing or disabled: \(missing.joined(separator: ", "))",
                means: "SQL that goes round the functions can change the log",
                advice: "alter table … enable trigger …, or durable-streams migrate into a new schema"
            )
        }
        return .ok("guards", "on: events cannot be changed or deleted, positions cannot be jumped by mistake")
    }

    func connectionsFinding(_ configuration: JournalConfiguration) -> Finding? {
        // Those that append and read, when there is much to do, and one each that claims, waits for locks, notifies, listens.
        // Not counted: those of the caller's own transactions, and the one that asks about another that is silent, which is
        // made for that and then closed.
        let needed = configuration.writerConnections + configuration.readerConnections + 4
        let limits = [("role \(role)", roleConnectionLimit), ("the database", databaseConnectionLimit)]
        if !isSuperuser, let (what, limit) = limits.first(where: { (0..<needed).contains($0.1) }) {
            return .problem(
                "connections",
                "\(what) is limited to \(limit)",
                means: "a journal needs \(needed) for each process",
                advice: "alter \(what) connection limit …"
            )
        }
        guard let used = usedConnections, let most = value("max_connections").flatMap(Int.init) else { return nil }
        let reserved = ["superuser_reserved_connections", "reserved_connections"].reduce(0) { sum, name in
            sum + (value(name).flatMap(Int.init) ?? 0)
        }
        let free = most - reserved - used
        let text = "\(used) of \(most - reserved) used; a journal needs \(needed) for each process"
        guard free >= needed else {
            return .warning(
                "connections",
                text,
                means: "connections will be refused, and tried again until the deadline",
                advice: "raise max_connections, or put a pooler between"
            )
        }
        return .ok("connections", text)
    }
}
