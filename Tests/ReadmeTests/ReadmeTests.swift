import Foundation
import PrivatePostgres
import Testing

@Suite("README", .timeLimit(.minutes(10)))
struct ReadmeTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    @Test("its Swift example is the one that is compiled here")
    func exampleIsCompiled() throws {
        let readme = try String(contentsOf: Self.root.appending(path: "README.md"), encoding: .utf8)
        let example = try String(
            contentsOf: Self.root.appending(path: "Tests/ReadmeTests/ReadmeExample.swift"),
            encoding: .utf8
        )
        #expect(readme.contains("```swift\n\(example)```"))
    }

    @Test(
        "its Swift example runs, and replays when it runs again",
        .enabled(
            if: ProcessInfo.processInfo.environment["DATABASE_URL"] == nil,
            "it claims and closes a stream of a fixed name: only on a server of our own"
        )
    )
    func exampleRuns() async throws {
        try await withPrivatePostgres { server async throws in
            try await chargeOnce(databaseURL: server.databaseURL)
            try await chargeOnce(databaseURL: server.databaseURL)
            let kinds = try await server.psql(
                // What the second claim reserved is no event.
                "select string_agg(kind, '' order by position) from durable_streams.events where kind <> 'r'"
            )
            #expect(kinds.trimmingCharacters(in: .whitespacesAndNewlines) == "yc")
        }
    }
}
