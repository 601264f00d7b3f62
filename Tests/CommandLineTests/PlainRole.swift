extension ToolDatabase {
    /// Runs `body` with the tool as a role that has no rights but everybody's and those `grants` give to ROLE.
    static func withPlainRole(
        on tool: Tool,
        granted grants: String = "",
        _ body: (Tool) async throws -> Void
    ) async throws {
        let role = "durable_streams_plain_" + String(UInt32.random(in: .min ... .max), radix: 16)
        try await psql("create role \(role)", on: tool)
        let result: Result<Void, any Error>
        do {
            try await psql(grants.replacing("ROLE", with: role), on: tool)
            var plain = tool
            plain.environment["PGOPTIONS"] = "-c role=\(role)"
            result = .success(try await body(plain))
        } catch {
            result = .failure(error)
        }
        try await psql("drop owned by \(role); drop role \(role)", on: tool)
        try result.get()
    }
}
