import PostgresStreams

/// Runs `body` with a journal of its own on the configuration's database: a new schema, migrated, which is dropped at the
/// end. Used by `bench` and `stress`, which must leave nothing on somebody's server.
///
/// - Parameters:
///   - purpose: what the schema is called after; part of its name.
///   - isLasting: the server stays when the program is gone.
func withOwnSchema<R: Sendable>(
    for purpose: String,
    _ configuration: JournalConfiguration,
    isLasting: Bool = true,
    _ body: (JournalConfiguration) async throws -> R
) async throws -> R {
    var own = configuration
    own.schema =
        "durable_streams_\(purpose)_" + String(UInt32.random(in: .min ... .max), radix: 36)
    let configuration = own
    let migrator = try Migrator(configuration)
    func remove() async {
        // In a task of its own: also when this one was cancelled.
        let removing = Task { try await migrator.removeSchema() }
        do {
            try await removing.value
        } catch {
            StandardError.say("schema \(configuration.schema) could not be dropped: \(error)")
        }
    }
    do {
        try await migrator.migrate()
    } catch {
        // It made everything or nothing, and did not say which.
        if error.code == .cancelled { await remove() }
        if error.sqlState == "42501" {
            throw ToolError(
                .unavailable,
                "\(error.message): \(purpose) works in a schema of its own, and the role needs CREATE on the database"
            )
        }
        throw error
    }
    let word = isLasting ? "schema \(configuration.schema) is left on the server: drop it" : nil
    return try await Interruption.saying(word) {
        let result: Result<R, any Error>
        do {
            result = .success(try await body(configuration))
        } catch let error as JournalError where error.code == .cancelled {
            // What became of an event that is dropped with the schema is nothing to be told.
            result = .failure(CancellationError())
        } catch {
            result = .failure(error)
        }
        await remove()
        return try result.get()
    }
}
