import ChildProcesses
import Foundation
import Testing

@testable import PrivatePostgres

/// The databases the tool is tested on: one for each test, on the server that `DATABASE_URL` names, else on a private one
/// that starts with the first test and is gone with the process.
///
/// A schema for each test would not do: advisory locks belong to the database.
actor ToolDatabase {
    static let shared = ToolDatabase()

    private var starting: Task<PrivatePostgres, any Error>?
    private var count = 0
    private let run = String(UInt32.random(in: .min ... .max), radix: 16)

    private static let external = ProcessInfo.processInfo.environment["DATABASE_URL"].flatMap { $0.isEmpty ? nil : $0 }

    /// Runs `body` with the tool on an empty database, which is dropped afterwards.
    static func with<R: Sendable>(migrated: Bool = true, _ body: (Tool) async throws -> R) async throws -> R {
        let (name, url) = try await shared.create()
        let tool = Tool(databaseURL: url)
        do {
            if migrated {
                let outcome = try await tool.run("migrate")
                try #require(outcome.status == 0, "\(outcome.messages)")
            }
            let result = try await body(tool)
            try await shared.drop(name)
            return result
        } catch {
            try? await shared.drop(name)
            throw error
        }
    }

    /// Runs SQL with psql, and gives what it prints.
    @discardableResult
    static func psql(_ sql: String, on tool: Tool) async throws -> String {
        try await psql(["-c", sql], url: #require(tool.databaseURL))
    }

    /// Runs a file with psql, as a person would.
    static func psql(file: String, on tool: Tool) async throws {
        try await psql(["-f", file], url: #require(tool.databaseURL))
    }

    private func create() async throws -> (name: String, url: String) {
        count += 1
        let name = "durable_streams_tool_\(run)_\(count)"
        guard let external = Self.external else {
            let server = try await server()
            try await server.createDatabase(name)
            return (name, server.databaseURL(database: name))
        }
        try await Self.psql(["-c", "create database \(name) template template0"], url: external)
        return (name, Self.url(external, database: name))
    }

    private func drop(_ name: String) async throws {
        guard let external = Self.external else { return try await server().dropDatabase(name) }
        try await Self.psql(["-c", "drop database if exists \(name) with (force)"], url: external)
    }

    private func server() async throws -> PrivatePostgres {
        if let starting { return try await starting.value }
        let task = Task { try await PrivatePostgres.start(.init(settings: ["max_connections": "500"])) }
        starting = task
        return try await task.value
    }

    @discardableResult
    private static func psql(_ arguments: [String], url: String) async throws -> String {
        // A server's own folder may lack clients, as PATH may.
        let folder = try? await ServerBinaries.find().folder
        let program = folder.flatMap { ServerBinaries.path(of: "psql", in: $0) } ?? ServerBinaries.onPath("psql")
        var command = Command(executable: try #require(program, "there is no psql"))
        command.arguments = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", url] + arguments
        command.environment["PGOPTIONS"] = "-c client_min_messages=error"
        let result = try #require(await command.run(), "psql could not be started")
        try #require(result.status == 0, "\(result.output)")
        return result.output
    }

    /// The same server and role, another database. Of a URI the path is replaced; in a key=value string the last wins.
    private static func url(_ url: String, database: String) -> String {
        guard let authority = url.range(of: "://")?.upperBound else { return "\(url) dbname=\(database)" }
        let rest = url[authority...]
        let query = rest.firstIndex(of: "?") ?? rest.endIndex
        let path = rest[..<query].firstIndex(of: "/") ?? query
        return url[..<path] + "/\(database)" + rest[query...]
    }
}
