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
        try await withWireProxy(.with { $0.appendDeadline = .seconds(120) }) { proxy, journal, direct in
            let stream = try journal.stream("s")
            #expect(try await stream.append(.close("a", .cancelled)) == 0)
            proxy.swallow(directions) { _ in true }
            #expect(try await stream.append(.close("b", .cancelled)) == 1)
            #expect(try await direct.stream("s").readAll().count == 2)
        }
    }
}
