/// What may bite later: time-outs, isolation, the notification queue, vacuum.
extension ServerFacts {
    var timeoutFindings: [Finding] {
        guard !settings.isEmpty else { return [] }
        var findings = ["statement_timeout", "transaction_timeout"].compactMap(statementTimeoutFinding)
        let idle = milliseconds("idle_session_timeout")
        if (1..<60_000).contains(idle) {
            findings.append(
                .warning(
                    "timeouts",
                    "idle_session_timeout is \(Self.text(idle)), \(origin("idle_session_timeout"))",
                    means: "the connection that listens is cut again and again; tails come back by themselves, late",
                    advice: remedy("idle_session_timeout")
                )
            )
        }
        return findings.isEmpty ? [.ok("timeouts", "none that would bite")] : findings
    }

    /// The append's own statement takes milliseconds, waits of up to 1 s for a stream's lock included.
    private func statementTimeoutFinding(_ name: String) -> Finding? {
        let time = milliseconds(name)
        guard time > 0, time < 10_000 else { return nil }
        let found = "\(name) is \(Self.text(time)), \(origin(name))"
        guard time >= 500 else {
            return .problem(
                "timeouts",
                found,
                means: "an append that waits for a slow disk or another append is cancelled, again and again",
                advice: remedy(name)
            )
        }
        return .warning(
            "timeouts",
            found,
            means: "an append that takes longer, on a slow disk or behind a lock, is cancelled and sent again",
            advice: remedy(name)
        )
    }

    /// - Parameter isBehindPooler: what a session sets for itself would be others' too, so the journal sets nothing.
    func isolationFinding(isBehindPooler: Bool) -> Finding? {
        let name = "default_transaction_isolation"
        guard let isolation = value(name), isolation != "read committed" else { return nil }
        let found = "\(name) is \(isolation), \(origin(name))"
        guard isBehindPooler else {
            return .ok("isolation", found, means: "the journal sets read committed for its own connections")
        }
        return .problem(
            "isolation",
            found,
            means:
                "through a pooler the journal cannot set its own: claims are refused, and appends that meet are sent "
                + "again",
            advice: remedy(name)
        )
    }

    private static func text(_ milliseconds: Int) -> String {
        milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }

    var queueFinding: Finding? {
        guard let queueUsage else { return nil }
        let found = "\(Int((queueUsage * 100).rounded())) % full"
        guard queueUsage >= 0.1 else { return .ok("notification queue", found) }
        return .warning(
            "notification queue",
            found,
            means: "a listener of this cluster, of any database, does not read; once it is full tails only poll",
            advice: "look for a session that listens and sits in a transaction: select * from pg_stat_activity "
                + "where state like 'idle in transaction%'"
        )
    }

    /// The server keeps what was typed: `off`, `F`, `no`, any beginning of such a word that says enough.
    private static func disablesVacuum(_ option: Substring) -> Bool {
        let option = option.lowercased()
        guard option.hasPrefix("autovacuum_enabled=") else { return false }
        let value = option.dropFirst("autovacuum_enabled=".count)
        guard !value.isEmpty else { return false }
        return ["false", "no", "0"].contains { $0.hasPrefix(value) } || ["of", "off"].contains(value)
    }

    var vacuumFinding: Finding? {
        guard let events = tables["events"] else { return nil }
        let check = "autovacuum"
        let disabled = tables.filter { _, table in
            table.options.split(separator: ",").contains(where: Self.disablesVacuum)
        }.keys.sorted()
        if value("autovacuum") == "off" || value("track_counts") == "off" {
            let name = value("autovacuum") == "off" ? "autovacuum" : "track_counts"
            return .warning(
                check,
                "\(name) is off, \(origin(name))",
                means: "index-only reads get slower, and one day the server stops to prevent wraparound",
                advice: remedy(name, to: "on")
            )
        }
        guard disabled.isEmpty else {
            return .warning(
                check,
                "turned off for \(disabled.joined(separator: ", "))",
                means: "its rows are frozen only in an emergency, all at once",
                advice: disabled.map { "alter table \(schema.quoted).\($0) reset (autovacuum_enabled)" }.joined(
                    separator: "; "
                )
            )
        }
        let oldest = tables.values.map(\.age).max() ?? 0
        if let limit = value("autovacuum_freeze_max_age").flatMap(Int.init), oldest > limit {
            return .warning(
                check,
                "the oldest rows are \(oldest) transactions old, past autovacuum_freeze_max_age (\(limit))",
                means: "vacuum does not keep up, or something old holds it back",
                advice: "look for old transactions, prepared transactions and replication slots, then vacuum (freeze)"
            )
        }
        return .ok(check, "on; about \(events.liveRows) events, the oldest rows \(oldest) transactions old")
    }
}
