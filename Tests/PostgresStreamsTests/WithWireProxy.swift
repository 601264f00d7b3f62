import PostgresStreams
import PrivatePostgres

/// Runs `body` with a journal whose connections go through a proxy, and with one that goes straight to the server.
///
/// - Parameter delay: what the way through the proxy takes, in milliseconds and each direction.
func withWireProxy<R: Sendable>(
    _ change: ConfigurationChange = .none,
    isFar delay: Int? = nil,
    _ body: (_ proxy: WireProxy, _ journal: Journal, _ direct: Journal) async throws -> R
) async throws -> R {
    let server = try await TestServer.shared.server()
    return try await withTestDatabase { url in
        let proxy = try WireProxy(to: server.port)
        defer { proxy.close() }
        proxy.setDelay(delay)
        let database = try await withSQL(url) { try await $0.value("select current_database()") }
        var configuration = JournalConfiguration.quiet(
            "postgresql://postgres:\(server.password)@127.0.0.1:\(proxy.port)/\(database)"
                + "?sslmode=disable&gssencmode=disable"
        )
        configuration.appendDeadline = .seconds(240)
        change.apply(&configuration)
        return try await withJournal(.quiet(url)) { direct in
            try await withJournal(configuration) { journal in try await body(proxy, journal, direct) }
        }
    }
}
