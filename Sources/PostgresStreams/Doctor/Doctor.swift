import LibPQ

/// Looks at what stands between this program and a durable log on a server: the server, its settings, the role, the
/// schema, the way to it, and how fast it is.
///
/// ```swift
/// let diagnosis = await Doctor(configuration).examine()
/// guard diagnosis.verdict < .problem else { … }
/// ```
public struct Doctor: Sendable {
    private let configuration: JournalConfiguration
    private let schema: SchemaName

    /// - Throws: `JournalError` with `invalidArgument` when the schema's name cannot be one, or another property is out of
    ///   its range.
    public init(_ configuration: JournalConfiguration) throws(JournalError) {
        try configuration.validate()
        self.configuration = configuration
        schema = try SchemaName(configuration.schema)
    }

    /// Looks at everything, a few seconds long, and changes nothing: it reads, notifies itself, and commits messages that
    /// belong to no table.
    ///
    /// It never throws: that a server cannot be reached, refuses a question or leaves it open is a finding. Each question
    /// has its time limit; cancelling the task has no effect beyond it.
    public func examine() async -> Diagnosis {
        var diagnosis = Diagnosis(findings: [libpqFinding])
        let conversation: Conversation
        do {
            conversation = try await Conversation.open(
                options(configuration.databaseURL),
                within: configuration.openTimeout,
                patience: FactFinder.patience
            )
        } catch {
            diagnosis.findings.append(Self.connectionFinding(error))
            return diagnosis
        }
        defer { conversation.close() }
        diagnosis.findings.append(.ok("connection", conversation.info.place))
        do {
            try await examine(conversation, &diagnosis.findings)
        } catch {
            diagnosis.findings.append(
                .problem(
                    "connection",
                    "it did not last: \(error.message)",
                    means: "the examination ends here, and a journal would reconnect here",
                    advice: "look at the server's log"
                )
            )
        }
        return diagnosis
    }

    private func examine(_ conversation: Conversation, _ findings: inout [Finding]) async throws(JournalError) {
        var finder = FactFinder(conversation, schema)
        try await finder.find()
        let facts = finder.facts
        let pooler = conversation.info.poolerFinding(runningPID: facts.backendPID)
        findings += [conversation.info.tlsFinding, pooler, facts.serverFinding, facts.primaryFinding]
        findings.append(try await schemaFinding(conversation, facts))
        findings += [
            facts.nameFinding, facts.strangersFinding, facts.roleFinding, facts.guardFinding,
            facts.connectionsFinding(configuration),
        ].compactMap(\.self)
        findings += [facts.fsyncFinding, facts.storageFinding].compactMap(\.self)
        findings.append(facts.synchronousCommitFinding(configuration.durability))
        let standbys = facts.standbyFinding(configuration.durability)
        findings += [standbys].compactMap(\.self) + facts.timeoutFindings
        let isBehindPooler = facts.backendPID.map { $0 != conversation.info.backendPID } ?? false
        findings += [facts.isolationFinding(isBehindPooler: isBehindPooler), facts.vacuumFinding, facts.queueFinding]
            .compactMap(\.self)
        findings += finder.refusals
        findings.append(try await clockFinding(conversation))
        findings.append(await listeningFinding(conversation, facts))
        guard facts.primaryFinding.verdict == .ok, standbys?.verdict != .problem else { return }
        // The last: a commit that waits for a standby keeps its connection.
        findings.append(try await commitFinding(conversation))
    }

    private func options(_ url: String) -> SessionOptions {
        // What counts is where the journal appends and listens, even if it prefers a standby for reading.
        var options = configuration.session(to: url)
        options.overrides = ConnectionDefaults.primary(url)
        return options
    }

    // MARK: Findings

    private var libpqFinding: Finding {
        let version = Library.version
        let text = "libpq \(version / 10_000).\(version % 10_000)"
        switch version {
        case ..<140_000:
            return .problem("libpq", text, means: "it has no pipelines; 14 or later is needed", advice: "update libpq")
        case ..<150_000: return .ok("libpq", text)
        default:
            guard let tls = Library.tlsLibrary else {
                return .warning(
                    "libpq",
                    "\(text), built without TLS",
                    means: "connections cannot be encrypted",
                    advice: "another build of libpq, unless the server is on this machine"
                )
            }
            return .ok(
                "libpq",
                "\(text), TLS by \(tls)",
                means: version < 160_000 ? "sslrootcert names a file; `system` is known from 16 on" : nil
            )
        }
    }

    private static func connectionFinding(_ error: JournalError) -> Finding {
        let advice =
            switch error.code {
            case .invalidArgument: "see libpq's documentation of connection strings"
            case .unfit where error.message.contains("certificate") || error.message.contains("SSL error"):
                "check sslmode, sslrootcert and the server's certificate"
            case .unfit: "check user, password, database and the server's pg_hba.conf"
            default: "check host, port and whether the server runs and is reachable from here"
            }
        return .problem("connection", error.message, means: "there is no journal without a server", advice: advice)
    }

    private func schemaFinding(
        _ conversation: Conversation,
        _ facts: ServerFacts
    ) async throws(JournalError) -> Finding {
        let check = "schema"
        let known = Migrator.knownVersion
        guard facts.tables["migrations"] != nil else {
            return .problem(
                check,
                facts.schemaUsable == nil
                    ? "there is no schema \(schema.text)" : "there is no journal in \(schema.text)",
                means: "nothing can be appended or read",
                advice: "\(Migrator.command(schema)), or name the schema it is in"
            )
        }
        do {
            let pending = try await Migrator(configuration).pending(conversation)
            guard pending.isEmpty else {
                let list = pending.map(String.init).joined(separator: ", ")
                return .problem(
                    check,
                    "\(schema.text) lacks \(pending.count == 1 ? "migration" : "migrations") \(list) of \(known)",
                    means: "this library does not open it",
                    advice: Migrator.command(schema)
                )
            }
            return .ok(check, "\(schema.text), at version \(known)")
        } catch {
            switch error.code {
            case .schemaAltered:
                return .problem(
                    check,
                    error.message,
                    means: "what runs on the server is not what this version was tested with; a journal opens it, "
                        + "migrate refuses",
                    advice: nil
                )
            case .schemaAhead, .refused:
                return .problem(check, error.message, means: "this library does not open it", advice: nil)
            default: throw error
            }
        }
    }

    private func clockFinding(_ conversation: Conversation) async throws(JournalError) -> Finding {
        guard let clock = try await Stopwatch(conversation: conversation).clock() else {
            return .warning("clock", "the server does not tell", means: "the difference is not known", advice: nil)
        }
        let difference = Duration.seconds(abs(clock.difference)).shortText
        let found =
            "the server's is \(difference) \(clock.difference < 0 ? "behind" : "ahead"), "
            + "to within \(Duration.seconds(clock.uncertainty).shortText)"
        guard abs(clock.difference) > 1 + clock.uncertainty else { return .ok("clock", found) }
        return .warning(
            "clock",
            found,
            means: "recordedAt is the server's time; no rule of the journal depends on it, its readers may",
            advice: "keep both clocks by NTP"
        )
    }

    private func listeningFinding(_ conversation: Conversation, _ facts: ServerFacts) async -> Finding {
        let check = "listening"
        let polls = "tails look every \(configuration.listening.pollInterval.shortText) instead"
        guard !facts.isInRecovery else {
            return .warning(check, "not possible on a standby", means: polls, advice: "name the primary")
        }
        let test = HearingTest(
            options: options(configuration.listenURL ?? configuration.databaseURL),
            schema: schema,
            speaker: conversation,
            timeout: configuration.openTimeout,
            patience: configuration.listening.probeTimeout
        )
        switch await test.run() {
        case .heard(let time): return .ok(check, "a notification arrives in \(time.shortText)")
        case .standby:
            return .warning(check, "not possible on a standby", means: polls, advice: "listenURL must name the primary")
        case .deaf(let isBehindPooler):
            return .warning(
                check,
                "a notification did not arrive within \(configuration.listening.probeTimeout.shortText)",
                means: polls,
                advice: isBehindPooler
                    ? "a way round the pooler for the one connection that listens: listenURL, or tail --listen-url"
                    : "look for what is between: a proxy that does not pass on what nobody asked for"
            )
        case .failed(let error):
            return .warning(
                check,
                error.message,
                means: polls,
                advice: "check listenURL and the role's connection limit"
            )
        }
    }

    private func commitFinding(_ conversation: Conversation) async throws(JournalError) -> Finding {
        let check = "commit"
        let stopwatch = Stopwatch(conversation: conversation)
        let roundTrip = try await stopwatch.median(of: "select 1")
        do {
            let commit = try await stopwatch.commit(configuration.durability)
            let found = "durable in \(commit.shortText), of which the way there and back \(roundTrip.shortText)"
            let rate = Int(1 / max(commit / .seconds(1), 1e-6))
            let meaning = "one writer that waits for each event appends at most \(rate) a second"
            guard commit > .milliseconds(50) else { return .ok(check, found, means: meaning) }
            return .warning(
                check,
                found,
                means: meaning,
                advice:
                    "bring the program nearer to the server, give the server's log a faster disk, or append several "
                    + "events together"
            )
        } catch {
            guard error.code == .refused else {
                return .problem(
                    check,
                    "a commit did not return: \(error.message)",
                    means: "appends will not return either; where synchronous standbys are set, one may be missing",
                    advice: "look at pg_stat_activity.wait_event while it waits"
                )
            }
            return .warning(check, "not measured: \(error.message)", means: "its time is not known", advice: nil)
        }
    }
}
