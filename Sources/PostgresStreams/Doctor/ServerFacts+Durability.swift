/// What a server's settings mean for "once append returns, the event is durable".
extension ServerFacts {
    var serverFinding: Finding {
        let text = "PostgreSQL \(serverVersion / 10_000).\(serverVersion % 10_000)"
        if let encoding = value("server_encoding"), encoding != "UTF8" {
            return .problem(
                "server",
                "\(text), the database's encoding is \(encoding)",
                means: "not every event could be stored",
                advice: "create database … encoding 'UTF8' template template0"
            )
        }
        switch serverVersion {
        case ..<140_000:
            return .problem("server", text, means: "the schema needs 14 or later", advice: "update the server")
        case 190_000...:
            return .warning(
                "server",
                text,
                means: "newer than the versions this was tested with, 14 to 18",
                advice: "run `durable-streams stress` against it"
            )
        default: return .ok("server", text)
        }
    }

    var primaryFinding: Finding {
        if isInRecovery {
            return .problem(
                "primary",
                "a standby",
                means: "it takes no appends and delivers no notifications; reads work, tails poll",
                advice: "name the primary, or several hosts with target_session_attrs=read-write"
            )
        }
        if value("transaction_read_only") == "on" {
            return .problem(
                "primary",
                "a primary, but transactions are read-only: default_transaction_read_only is "
                    + origin("default_transaction_read_only"),
                means: "it takes no appends",
                advice: remedy("default_transaction_read_only")
            )
        }
        return .ok("primary", "a primary that takes writes")
    }

    /// - Parameter durability: what the journal asks for in each of its transactions.
    func synchronousCommitFinding(_ durability: JournalConfiguration.Durability) -> Finding {
        let check = "synchronous_commit"
        switch durability {
        case .off:
            return .problem(
                check,
                "the journal asks for off",
                means: "a crash of the server loses what was acknowledged",
                advice: "leave JournalConfiguration.durability at .on"
            )
        case .local, .remoteWrite, .remoteApply, .on: break
        }
        let server = value(check) ?? "unknown"
        let asked = "the journal's transactions ask for \(durability.rawValue)"
        guard server == "off" || server == "local" && durability != .local else {
            return .ok(check, "\(server), \(origin(check)); \(asked)")
        }
        return .warning(
            check,
            "\(server), \(origin(check)); \(asked)",
            means: "the journal is durable all the same; other SQL of this role is not",
            advice: remedy(check)
        )
    }

    /// - Parameter durability: what the journal asks for in each of its transactions.
    func standbyFinding(_ durability: JournalConfiguration.Durability) -> Finding? {
        guard !isInRecovery, let standbys else { return nil }
        let check = "standbys"
        let names = value("synchronous_standby_names") ?? ""
        if isNeon, names == "walproposer" {
            guard durability != .local, durability != .off else {
                return .problem(
                    check,
                    "Neon's safekeepers; commits that are \(durability.rawValue) do not wait for them",
                    means: "when this server ends, what is acknowledged may be lost",
                    advice: "leave JournalConfiguration.durability at .on"
                )
            }
            return .ok(check, "Neon's safekeepers", means: "what is acknowledged is on a majority of them")
        }
        if durability == .local || durability == .off, standbys.connected > 0 {
            return .warning(
                check,
                "\(standbys.connected) connected; commits that are \(durability.rawValue) do not wait for them",
                means: "a failover to a standby may lose the end of what is acknowledged",
                advice: "leave the journal's durability on, if that must not happen"
            )
        }
        if !names.isEmpty, durability != .local, durability != .off {
            if standbys.isHidden {
                return .warning(
                    check,
                    "synchronous_standby_names is '\(names)', \(standbys.connected) connected",
                    means: "which of them are synchronous is hidden from role \(role); without enough commits wait",
                    advice: "grant pg_monitor to \(role.quotedIdentifier), to let the doctor see"
                )
            }
            let needed = Self.neededStandbys(names)
            guard standbys.synchronous >= needed else {
                let (there, more) =
                    standbys.synchronous == 0
                    ? ("no synchronous standby is", "one comes")
                    : ("of \(needed) synchronous standbys \(standbys.synchronous) are", "more come")
                return .problem(
                    check,
                    "synchronous_standby_names is '\(names)', and \(there) connected",
                    means: "every commit waits until \(more): appends do not return",
                    advice:
                        "bring the standbys back, or alter system set synchronous_standby_names = '', after which a "
                        + "failover may lose what is acknowledged"
                )
            }
            return .ok(
                check,
                "\(standbys.synchronous) synchronous of \(standbys.connected) connected",
                means: "what is acknowledged survives the loss of this server"
            )
        }
        guard standbys.connected == 0 else {
            return .warning(
                check,
                "\(standbys.connected) connected, none synchronous",
                means: "what is acknowledged survives a crash of this server; a failover to a standby may lose the end",
                advice:
                    "alter system set synchronous_standby_names = 'ANY 1 (…)' with the standbys' names, if that must "
                    + "not happen; with * any subscriber would do"
            )
        }
        return .ok(
            check,
            "none connected",
            means: "what is acknowledged survives a crash of this server, and is on its disk alone"
        )
    }

    /// How many synchronous standbys a commit waits for: `ANY 2 (…)`, `FIRST 2 (…)`, `2 (…)`, or names alone, of which it is
    /// the first that is connected.
    static func neededStandbys(_ names: String) -> Int {
        let count = names.firstMatch(of: #/^\s*(?:(?:any|first)\s+)?(\d+)\s*\(/#.ignoresCase())
        return count.flatMap { Int($0.1) } ?? 1
    }

    var fsyncFinding: Finding {
        if isNeon, let fsync = value("fsync") { return .ok("fsync", "\(fsync): Neon's safekeepers keep the log") }
        guard value("fsync") != "off" else {
            return .problem(
                "fsync",
                "off, \(origin("fsync"))",
                means: "a crash of the machine loses what was acknowledged, and may ruin the whole database",
                advice: remedy("fsync", to: "on")
            )
        }
        guard value("full_page_writes") != "off" else {
            return .warning(
                "fsync",
                "on, but full_page_writes is off, \(origin("full_page_writes"))",
                means:
                    "a crash of the machine may tear pages that the log cannot mend, unless the file system never does",
                advice: remedy("full_page_writes", to: "on")
            )
        }
        guard let fsync = value("fsync") else {
            return .warning(
                "fsync",
                "this server does not tell",
                means: "whether it keeps what it acknowledges is not known",
                advice: "look into its documentation"
            )
        }
        return .ok("fsync", fsync)
    }

    /// An unlogged table is empty after a crash.
    var storageFinding: Finding? {
        let unlogged = tables.filter { $0.value.persistence != "p" }.keys.sorted()
        guard unlogged.isEmpty else {
            return .problem(
                "storage",
                "not logged: \(unlogged.joined(separator: ", "))",
                means: "they are empty after a crash of the server",
                advice: unlogged.map { "alter table \(schema.quoted).\($0) set logged" }.joined(separator: "; ")
            )
        }
        return tables.isEmpty ? nil : .ok("storage", "the tables are logged")
    }
}
