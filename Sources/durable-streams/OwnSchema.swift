import PostgresStreams

/// Runs `body` with a journal of its own on the configuration's database: a new schema, migrated, which is dropped at the
/// end. Used by `bench` and `stress`, which must leave nothing on somebody's server.
///
/// - Parameter purpose: what the schema is called after; part of its name.
func withOwnSchema<R: Sendable>(
    for purpose: String,
    _ configuration: JournalConfiguration,
    _ body: (JournalConfiguration) async throws -> R
) async throws -> R {
    var configuration = configuration
    configuration.schema =
        "durable_streams_\(purpose)_" + String(UInt32.random(in: .min ... .max), radix: 36)
    let migrator = try Migrator(configuration)
    return try await Interruption.saying("schema \(configuration.schema) is left on the server: drop it") {
        // It makes everything or nothing.
        try await migrator.migrate()
        let result: Result<R, any Error>
        do {
            result = .success(try await body(configuration))
        } catch {
            result = .failure(error)
        }
        // In a task of its own: also when this one was cancelled.
        let removing = Task { try await migrator.removeSchema() }
        do {
            try await removing.value
        } catch {
            StandardError.say("schema \(configuration.schema) could not be dropped: \(error)")
        }
        return try result.get()
    }
}
