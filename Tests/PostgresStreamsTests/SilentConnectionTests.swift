import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// Connections that something in between goes on holding, though nothing gets through, while new ones do.
@Suite(
    "Connections that fall silent",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "needs a server that is reached by TCP on this machine")
)
struct SilentConnectionTests {
    @Test(
        "an append that is swallowed, or its answer, is settled over another connection long before its deadline",
        arguments: [[WireProxy.Direction.toServer, .toClient], [.toClient]] as [Set<WireProxy.Direction>]
    )
    func swallowed(_ directions: Set<WireProxy.Direction>) async throws {
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            let proxy = try WireProxy(to: server.port)
            defer { proxy.close() }
            let database = try await withSQL(url) { try await $0.value("select current_database()") }
            var configuration = JournalConfiguration.quiet(
                "postgresql://postgres:\(server.password)@127.0.0.1:\(proxy.port)/\(database)"
                    + "?sslmode=disable&gssencmode=disable"
            )
            configuration.appendDeadline = .seconds(120)
            try await withJournal(configuration) { journal in
                let stream = try journal.stream("s")
                #expect(try await stream.append(.close("a", .cancelled)) == 0)
                proxy.swallow(directions) { _ in true }
                #expect(try await stream.append(.close("b", .cancelled)) == 1)
            }
            try await withJournal(.quiet(url)) { direct in
                let events = try await direct.stream("s").readAll()
                #expect(events.count == 2)
            }
        }
    }
}
