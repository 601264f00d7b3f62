import ArgumentParser
import PostgresStreams

/// `migrate`: brings the schema up to date, prints the SQL for it, or says whether it is.
struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Create the journal's schema or bring it up to date.",
        discussion: """
            Applies the migrations that are compiled into this binary and not yet in the database, all in one \
            transaction. Several at once are safe; nothing to do is no error. The role needs the right to create a schema \
            in the database, or to own the schema; it need not be a superuser.

              durable-streams migrate
              durable-streams migrate --print | psql --set ON_ERROR_STOP=1 "$DATABASE_URL"
              durable-streams migrate --check || echo "not up to date"

            --print writes the SQL for a database without a journal, asking no server.
            --check changes nothing. It exits 65 when migrations are missing or one was changed after it was applied, 69 \
            when the database is newer than this binary.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print the SQL that would run on a database without a journal, and do not run it.")
    var print = false

    @Flag(help: "Only check whether the schema is up to date; exit 65 if it is not.")
    var check = false

    func validate() throws {
        guard !(print && check) else { throw ValidationError("--print and --check exclude each other") }
    }

    func run() async throws {
        let migrator = try Migrator(connection.configuration)
        if print {
            try await Output.standard.write(Array(migrator.script.utf8) + [UInt8(ascii: "\n")])
        } else if check {
            try await check(migrator)
        } else {
            let applied = try await migrator.migrate()
            StandardError.say(
                applied.isEmpty
                    ? "schema \(connection.schema) is up to date, at version \(Migrator.knownVersion)"
                    : "schema \(connection.schema): applied \(Self.list(applied)), now at version \(Migrator.knownVersion)"
            )
        }
    }

    private func check(_ migrator: Migrator) async throws {
        let pending = try await pending(migrator)
        guard pending.isEmpty else {
            throw ToolError(
                .badInput,
                "schema \(connection.schema) lacks \(Self.list(pending)) of \(Migrator.knownVersion): "
                    + "run `\(migrator.command)`\(ConnectionOptions.hint)"
            )
        }
        StandardError.say("schema \(connection.schema) is up to date, at version \(Migrator.knownVersion)")
    }

    private func pending(_ migrator: Migrator) async throws -> [Int] {
        do {
            return try await migrator.pending()
        } catch {
            guard error.code == .schemaAltered else { throw error }
            throw ToolError(.badInput, error.message)
        }
    }

    private static func list(_ versions: [Int]) -> String {
        (versions.count == 1 ? "migration " : "migrations ") + versions.map(String.init).joined(separator: ", ")
    }
}
