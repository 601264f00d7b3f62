import PrivatePostgres

/// The server that tests of sessions share, started at first use and gone with the process. Tests that stop a server or
/// count its connections start one of their own.
actor SessionServer {
    static let shared = SessionServer()

    private var starting: Task<PrivatePostgres, any Error>?

    func server() async throws -> PrivatePostgres {
        if let starting { return try await starting.value }
        let task = Task { try await PrivatePostgres.start(.init(tcp: true, settings: ["max_connections": "500"])) }
        starting = task
        return try await task.value
    }
}

extension PrivatePostgres {
    /// By TCP, as most servers are reached.
    var url: String { databaseURL(database: "postgres", tcp: true) }
}
