/// Runs `body` with a private server that exists only for that long.
///
/// - Returns: what `body` returns, after server and folder are gone.
/// - Throws: ``PrivatePostgresError`` if the server does not start, else what `body` throws.
package func withPrivatePostgres<R>(
    _ options: PrivatePostgres.Options = PrivatePostgres.Options(),
    isolation: isolated (any Actor)? = #isolation,
    _ body: (PrivatePostgres) async throws -> R
) async throws -> R {
    let server = try await PrivatePostgres.start(options)
    do {
        let result = try await body(server)
        await server.remove()
        return result
    } catch {
        await server.remove()
        throw error
    }
}
