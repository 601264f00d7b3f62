import Foundation
import Testing

@testable import PrivatePostgres

@Suite("The search for a server's programs")
struct ServerBinariesTests {
    @Test("says what was looked for and what helps when there is nothing")
    func nothing() async throws {
        let search = ServerBinaries.Search(environment: ["PATH": "/nonexistent"], usualPatterns: ["/nonexistent/*/bin"])
        let error = await #expect(throws: PrivatePostgresError.self) { try await ServerBinaries.find(search) }
        #expect(error?.code == .binariesMissing)
        let text = try #require(error).description
        for part in [
            "initdb", "DURABLE_STREAMS_PG_BIN", "pg_config", "PATH", "/nonexistent/*/bin", "apt-get install postgresql",
        ] {
            #expect(text.contains(part), "\(part)")
        }
    }

    @Test("does not look elsewhere when a folder is named, by variable or by option")
    func named() async {
        var search = ServerBinaries.Search()
        search.environment["DURABLE_STREAMS_PG_BIN"] = "/nonexistent"
        let error = await #expect(throws: PrivatePostgresError.self) { try await ServerBinaries.find(search) }
        #expect(error?.description.contains("DURABLE_STREAMS_PG_BIN") == true)
        await #expect(throws: PrivatePostgresError.self) { try await ServerBinaries.find(explicit: "/nonexistent") }
    }

    @Test("takes the highest version of the usual places, follows links, and passes over folders without a server")
    func order() async throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "binaries-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: root) }
        func program(_ path: String) throws {
            let file = root.appending(path: path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try Data("#!/bin/sh\n".utf8).write(to: file)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
        }
        for version in ["9.6", "15", "18"] {
            try program("\(version)/bin/initdb")
            try program("\(version)/bin/postgres")
        }
        try program("19/bin/psql")
        let pattern = root.path + "/*/bin"
        let usual = try await ServerBinaries.find(.init(environment: [:], usualPatterns: [pattern]))
        #expect(usual.folder.hasSuffix("/18/bin"))

        let links = root.appending(path: "links")
        try FileManager.default.createDirectory(at: links, withIntermediateDirectories: true)
        for name in ["initdb", "postgres"] {
            try FileManager.default.createSymbolicLink(
                at: links.appending(path: name),
                withDestinationURL: root.appending(path: "15/bin/\(name)")
            )
        }
        let linked = try await ServerBinaries.find(.init(environment: ["PATH": links.path], usualPatterns: [pattern]))
        #expect(linked.folder.hasSuffix("/15/bin"))
    }
}
