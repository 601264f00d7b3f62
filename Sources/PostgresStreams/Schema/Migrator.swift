import LibPQ
import Logging

/// Brings the schema to the version this library knows: forward only, each file once, all of them in one transaction.
///
/// Several processes at once are safe: the first takes a lock for the transaction, the others wait for as long as it takes,
/// and find nothing to do.
public struct Migrator: Sendable {
    private let configuration: JournalConfiguration
    let schema: SchemaName

    /// - Throws: `JournalError` with `invalidArgument` when the schema's name cannot be one, or another property is out of
    ///   its range.
    public init(_ configuration: JournalConfiguration) throws(JournalError) {
        try configuration.validate()
        self.configuration = configuration
        schema = try SchemaName(configuration.schema)
    }

    /// The version of the journal this library reads and writes.
    public static var knownVersion: Int { MigrationFile.all.last?.version ?? 0 }

    /// Applies what is missing.
    ///
    /// - Returns: the versions that were applied now, in order; empty where there was nothing to do.
    /// - Throws: `JournalError`: `schemaAhead` when the database is newer than this library, `schemaAltered` when a file
    ///   is not what was applied under its number, `refused` when the server refuses a file (then nothing was applied),
    ///   `unreachable` or `unfit` when there is no connection, `unfit` also when others than the role that migrates have
    ///   objects in the schema or may create some (its functions would run them with that role's rights), `unreachable`
    ///   also when the server leaves a question open for longer than `openTimeout`, or takes more than ten minutes for a
    ///   file; `cancelled` when the task was, and then nothing was applied, unless that came during the commit.
    @discardableResult
    public func migrate() async throws(JournalError) -> [Int] {
        try await withConversation { (conversation) async throws(JournalError) in
            let server = try await conversation.run(
                "select pg_catalog.current_setting('server_encoding'), pg_catalog.pg_is_in_recovery()"
            ).last
            if let encoding = server?.text(row: 0, column: 0), encoding != "UTF8" {
                throw .wrongEncoding(encoding)
            }
            // On a standby there may be nothing to do.
            let mayWrite = server?.bool(row: 0, column: 1) == false
            while try await !begin(conversation, mayWrite: mayWrite) {}
            if try await !schemaExists(conversation) { try await conversation.run("create schema \(schema.quoted)") }
            try await refuseStrangers(conversation)
            try await conversation.run("set local search_path = \(schema.quoted), pg_temp")
            let applied = try await appliedFiles(conversation)
            let missing = try Self.missing(applied: applied, schema: schema)
            for file in missing {
                try await conversation.run(file.asOneStatement, within: Self.filePatience)
            }
            for file in MigrationFile.all where applied[file.version]?.sha256 == nil {
                // Also of a file that a person ran by hand, which leaves its row without a checksum.
                var parameters = Parameters()
                parameters.append(file.version)
                parameters.append(file.sha256)
                try await conversation.run(
                    (
                        Statement(
                            name: "",
                            sql: "update migrations set sha256 = $2 where version = $1 and sha256 is null",
                            parameterTypes: [.int8, .text]
                        ), parameters
                    )
                )
            }
            try await conversation.run(Self.resetPath)
            // A COMMIT in a transaction that failed answers ROLLBACK, with an OK status.
            guard try await conversation.run("commit").last?.commandTag == "COMMIT" else {
                throw JournalError(.refused, "the server rolled the migration back")
            }
            return missing.map(\.version)
        }
    }

    /// The versions that `migrate` would apply. Changes nothing.
    ///
    /// - Throws: as `migrate`.
    public func pending() async throws(JournalError) -> [Int] {
        try await withConversation { (conversation) async throws(JournalError) in try await pending(conversation) }
    }

    func pending(_ conversation: Conversation) async throws(JournalError) -> [Int] {
        try await Self.missing(applied: appliedFiles(conversation), schema: schema).map(\.version)
    }

    /// The SQL that would run on a database without a journal, for psql: complete, in one transaction, and recorded.
    public var script: String {
        // IF NOT EXISTS would ask for the right to create schemas where there is nothing to create.
        let isMissing = "to_regnamespace(\(schema.quoted.quotedLiteral)) is null"
        let makesSchema = "if \(isMissing) then create schema \(schema.quoted); end if;"
        let strangers = Statements.strangers(in: schema.text.quotedLiteral, besides: Statements.asker)
        let raise = "raise exception '%', \(Self.strange.quotedLiteral) || found;"
        let refusal = "found := \(strangers); if found is not null then \(raise) end if;"
        let preparation = "declare found text; begin \(makesSchema) \(refusal) end"
        var lines = [
            "\(Self.begin) read write;", "\(Self.withoutOthers);", "\(Self.withoutTimeout);",
            "set local standard_conforming_strings = on;", "do \(preparation.quotedLiteral);",
            "set local search_path = \(schema.quoted), pg_temp;", "",
        ]
        for file in MigrationFile.all {
            lines += [file.sql, "update migrations set sha256 = '\(file.sha256)' where version = \(file.version);", ""]
        }
        lines += ["\(Self.resetPath);", "commit;"]
        return lines.joined(separator: "\n")
    }

    // MARK: Steps

    /// Whatever the defaults are: with one snapshot for all, who waited for another's migration would not see it.
    private static let begin = "begin isolation level read committed"

    /// A role's own is meant for its questions, not for a migration, nor for waiting until another's is done.
    private static let withoutTimeout = "set local statement_timeout = 0"

    /// What others may have put where functions are looked for by default is not run with the rights of who migrates.
    private static let withoutOthers = "set local search_path = pg_catalog, pg_temp"

    /// The files set it for the session, so that they can be run by hand; a pooler would hand it on to others.
    private static let resetPath = "reset search_path"

    /// How long a file may take; where there are many events, more than any other question.
    private static let filePatience = Duration.seconds(600)

    /// How long the server waits at once for the lock that another's migration holds.
    private static let lockPatience = Duration.seconds(10)

    /// Begins the transaction, and takes the lock that it holds to its end; false: another has it, and nothing was begun.
    ///
    /// For as long as another migrates, but a round at a time: a server that is gone must not pass for one that is busy.
    private func begin(_ conversation: Conversation, mayWrite: Bool) async throws(JournalError) -> Bool {
        try await conversation.run(Self.begin + (mayWrite ? " read write" : ""))
        try await conversation.run(Self.withoutOthers)
        try await conversation.run(Self.withoutTimeout)
        // Not every server knows it.
        try await conversation.run(
            "select pg_catalog.set_config(name, '0', true) from pg_settings where name = 'transaction_timeout'"
        )
        try await conversation.run("set local lock_timeout = \(Int(Self.lockPatience.milliseconds))")
        do {
            // The key is this library's and the schema's.
            try await conversation.run(
                (
                    Statement(
                        name: "",
                        sql: """
                            select pg_catalog.pg_advisory_xact_lock(
                                pg_catalog.hashtextextended('durable-streams migrate ' || $1, 0))
                            """,
                        parameterTypes: [.text]
                    ), parameters(schema.text)
                ),
                within: Self.lockPatience + configuration.openTimeout
            )
        } catch {
            guard error.sqlState == SQLState.lockNotAvailable else { throw error }
            try await conversation.run("rollback")
            return false
        }
        try await conversation.run("set local lock_timeout to default")
        return true
    }

    /// Before anything in the schema is looked at: it may be theirs.
    private func refuseStrangers(_ conversation: Conversation) async throws(JournalError) {
        let strangers = Statements.strangers(in: "$1", besides: Statements.asker)
        let statement = Statement(name: "", sql: "select \(strangers)", parameterTypes: [.text])
        let answer = try await conversation.run((statement, parameters(schema.text))).last
        guard let found = answer?.optionalText(row: 0, column: 0) else { return }
        throw JournalError(.unfit, Self.strange + found)
    }

    private static let strange =
        "others than the role that migrates have objects in the schema, or could make some, which would run with its rights; "

    private struct Applied {
        var name: String
        var sha256: String?
    }

    func withConversation<R: Sendable>(
        _ body: (Conversation) async throws(JournalError) -> R
    ) async throws(JournalError) -> R {
        // Even if it prefers a standby for reading.
        var options = configuration.session(to: configuration.databaseURL)
        options.overrides = ConnectionDefaults.primary(configuration.databaseURL)
        let conversation = try await Conversation.open(
            options,
            within: configuration.openTimeout,
            patience: configuration.openTimeout
        )
        defer { conversation.close() }
        let result: Result<R, JournalError> = await withTaskCancellationHandler {
            do throws(JournalError) { return .success(try await body(conversation)) } catch { return .failure(error) }
        } onCancel: {
            // It may wait for a lock, for as long as another migrates.
            conversation.close()
        }
        if case .failure = result, Task.isCancelled { throw JournalError.cancelled }
        return try result.get()
    }

    private func parameters(_ text: String) -> Parameters {
        var parameters = Parameters()
        parameters.append(text)
        return parameters
    }

    private func schemaExists(_ conversation: Conversation) async throws(JournalError) -> Bool {
        let results = try await conversation.run(
            (
                Statement(
                    name: "",
                    sql: "select exists (select from pg_namespace where nspname = $1)",
                    parameterTypes: [.text]
                ), parameters(schema.text)
            )
        )
        return results.last?.bool(row: 0, column: 0) ?? false
    }

    /// What the database says was applied; empty where there is no journal.
    private func appliedFiles(_ conversation: Conversation) async throws(JournalError) -> [Int: Applied] {
        let exists = try await conversation.run(
            (
                Statement(
                    name: "",
                    sql: """
                        select exists (
                            select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                            where n.nspname = $1 and c.relname = 'migrations')
                        """,
                    parameterTypes: [.text]
                ), parameters(schema.text)
            )
        )
        guard exists.last?.bool(row: 0, column: 0) == true else { return [:] }
        let rows = try await conversation.run("select version, name, sha256 from \(schema.quoted).migrations")
        var applied: [Int: Applied] = [:]
        for result in rows {
            for row in 0..<result.rowCount {
                guard let version = result.integer(row: row, column: 0) else { continue }
                applied[version] = Applied(
                    name: result.text(row: row, column: 1),
                    sha256: result.optionalText(row: row, column: 2)
                )
            }
        }
        return applied
    }

    /// The files still to apply, or why none may be.
    private static func missing(applied: [Int: Applied], schema: SchemaName) throws(JournalError) -> [MigrationFile] {
        if let newest = applied.keys.max(), newest > knownVersion {
            throw mismatch(found: newest, known: knownVersion, schema: schema)
        }
        for file in MigrationFile.all {
            guard let sha256 = applied[file.version]?.sha256, sha256 != file.sha256 else { continue }
            throw JournalError(
                .schemaAltered,
                "migration \(file.name) is not what was applied to schema \(schema.text): its SHA-256 is "
                    + "\(file.sha256.prefix(12))…, the applied one's \(sha256.prefix(12))…; "
                    + "use the durable-streams it was migrated with, or restore the file"
            )
        }
        return MigrationFile.all.filter { applied[$0.version] == nil }
    }

    /// Drops the schema with all it holds: for those who made one for a test.
    ///
    /// - Throws: `JournalError` when the server cannot be reached or refuses. A schema that is not there is no error.
    package func removeSchema() async throws(JournalError) {
        _ = try await withConversation { (conversation) async throws(JournalError) in
            try await conversation.run("drop schema if exists \(schema.quoted) cascade", within: Self.filePatience)
        }
    }

    /// What to run where the schema is not up to date.
    package var command: String { Self.command(schema) }

    static func command(_ schema: SchemaName) -> String {
        guard schema.text != JournalConfiguration().schema else { return "durable-streams migrate" }
        return "durable-streams migrate --schema '\(schema.inShellQuotes)'"
    }

    static func mismatch(found: Int, known: Int, schema: SchemaName) -> JournalError {
        found > known
            ? JournalError(
                .schemaAhead,
                "schema \(schema.text) is at version \(found), this durable-streams knows up to \(known): update it"
            )
            : JournalError(
                .schemaBehind,
                "schema \(schema.text) is at version \(found), this durable-streams needs \(known): "
                    + "run `\(command(schema))`"
            )
    }

    static func missing(schema: SchemaName) -> JournalError {
        JournalError(
            .schemaBehind,
            "there is no journal in schema \(schema.text): run `\(command(schema))`, or name the schema it is in"
        )
    }
}
