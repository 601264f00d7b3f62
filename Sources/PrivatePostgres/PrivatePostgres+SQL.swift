import ChildProcesses

extension PrivatePostgres {
    /// Runs SQL with `psql` as the superuser and gives what it prints: a line per row, fields parted by `|`.
    ///
    /// Several statements in one text are one transaction. Meant for preparing a test and looking at its result.
    ///
    /// - Throws: `queryFailed` with the server's message; also when there is no `psql`.
    @discardableResult
    package func psql(_ sql: String, database: String = "postgres") async throws(PrivatePostgresError) -> String {
        let url = databaseURL(database: database)
        let folder = binaries
        // Some servers come without clients; then any psql will do.
        let program = ServerBinaries.path(of: "psql", in: folder) ?? ServerBinaries.onPath("psql")
        var command = Command(executable: program ?? "psql")
        command.arguments = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]
        // Notices would mix with the rows.
        command.environment["PGOPTIONS"] = "-c client_min_messages=error"
        command.environment["PGCLIENTENCODING"] = "UTF8"
        guard program != nil, let outcome = await command.run() else {
            throw PrivatePostgresError(.queryFailed, "No psql in \(folder) or PATH that runs.")
        }
        guard outcome.status == 0 else { throw PrivatePostgresError(.queryFailed, outcome.output) }
        return outcome.output
    }

    /// Creates a database, a copy of `template` if one is named (to which nobody may be connected meanwhile).
    ///
    /// - Throws: `queryFailed`.
    package func createDatabase(_ name: String, template: String? = nil) async throws(PrivatePostgresError) {
        try await psql("create database \(quoted(name))" + (template.map { " template \(quoted($0))" } ?? ""))
    }

    /// Drops a database, cutting its sessions. One that does not exist is no error.
    ///
    /// - Throws: `queryFailed`.
    package func dropDatabase(_ name: String) async throws(PrivatePostgresError) {
        try await psql("drop database if exists \(quoted(name)) with (force)")
    }

    private func quoted(_ identifier: String) -> String {
        "\"" + identifier.replacing("\"", with: "\"\"") + "\""
    }
}
