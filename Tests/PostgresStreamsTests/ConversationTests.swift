import Testing

@testable import PostgresStreams

@Suite("A conversation", .timeLimit(.minutes(10)))
struct ConversationTests {
    @Test("whose time is over says that the server did not answer, not that the journal was closed")
    func overtime() async throws {
        try await withTestDatabase { url in
            let error = await thrown {
                try await Migrator(.quiet(url)).withConversation { (conversation) async throws(JournalError) -> Void in
                    try await conversation.run("select pg_sleep(600)", within: .milliseconds(1))
                }
            }
            #expect(error?.code == .unreachable)
        }
    }
}
