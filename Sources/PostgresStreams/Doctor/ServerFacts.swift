import LibPQ

/// What a server says of itself, as far as the doctor asks. What it does not say, or says only to others, is missing.
///
/// Filled by `FactFinder`; what it means is in the extensions, which ask nobody.
struct ServerFacts: Sendable {
    struct Setting: Sendable {
        var value: String
        /// `default`, `configuration file`, `database`, `user`, `database user`, `client` …
        var source: String
    }

    struct Table: Sendable {
        /// `p` permanent, `u` unlogged, `t` temporary.
        var persistence = "p"
        var isReadable = true
        /// The role may insert, update, delete or truncate by itself.
        var isWritable = false
        var isOwned = false
        var options = ""
        /// In transactions: how far back its oldest row that is not frozen may be.
        var age = 0
        var deadRows = 0
        var liveRows = 0
        /// Row-level security hides rows from the role, or may.
        var isFiltered = false
    }

    /// Physical ones: who reads changes, a subscriber for instance, cannot take the server's place.
    struct Standbys: Sendable {
        var connected = 0
        /// Those that a commit waits for.
        var synchronous = 0
        /// The role may not see what they are.
        var isHidden = false
    }

    let schema: SchemaName
    var settings: [String: Setting] = [:]
    var serverVersion = 0
    /// The pid of the process that ran our statement, which is not always the one libpq was told.
    var backendPID: Int?
    var isInRecovery = false
    var role = ""
    var isSuperuser = false
    var roleConnectionLimit = -1
    var databaseConnectionLimit = -1
    var usedConnections: Int?
    var schemaUsable: Bool?
    /// The schema had another name when it was migrated.
    var isRenamed = false
    /// Who else than whoever migrated the schema has objects in it, or may make some, and what to do about it.
    var strangers = ""
    var tables: [String: Table] = [:]
    /// Whether the role may call them.
    var functions: [String: Bool] = [:]
    /// By name: `O` and `A` fire, `D` and `R` do not.
    var triggers: [String: String] = [:]
    var standbys: Standbys?
    var queueUsage: Double?

    func value(_ name: String) -> String? { settings[name]?.value }

    /// Only Neon's servers have it, and tell it everybody.
    static let neonSetting = "neon.timeline_id"

    /// Its servers keep nothing: commits wait for a majority of its safekeepers, which are called `walproposer` among the
    /// standbys, and what is on the server's own disk does not matter (neondatabase/neon, `control_plane/src/endpoint.rs`).
    var isNeon: Bool { value(Self.neonSetting)?.isEmpty == false }

    /// Where a setting was made, in words.
    func origin(_ name: String) -> String {
        switch settings[name]?.source {
        case "user": "set for role \(role)"
        case "database": "set for the database"
        case "database user": "set for role \(role) in this database"
        case "configuration file": "set in the server's configuration"
        case "client": "set by the connection string or PGOPTIONS"
        case "default", nil: "the server's default"
        case let source?: "set by \(source)"
        }
    }

    /// How such a setting is taken back.
    func remedy(_ name: String, to value: String? = nil) -> String {
        let change = value.map { "set \(name) = \($0)" } ?? "reset \(name)"
        return switch settings[name]?.source {
        case "user": "alter role \(role.quotedIdentifier) \(change)"
        case "database": "alter database … \(change)"
        case "database user": "alter role \(role.quotedIdentifier) in database … \(change)"
        case "client": "take \(name) out of the connection string's options, or out of PGOPTIONS"
        case "command line": "take \(name) out of the server's command line, which goes before its configuration"
        case "configuration file" where value == nil:
            "take \(name) out of the server's configuration, or out of the service's parameters, and reload it"
        default: "alter system \(change), then select pg_reload_conf(); with a managed service by its parameters"
        }
    }

    /// A time-out in milliseconds; 0: none.
    func milliseconds(_ name: String) -> Int { value(name).flatMap(Int.init) ?? 0 }
}
