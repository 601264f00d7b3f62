import Testing

@testable import PostgresStreams

@Suite("A conversation", .timeLimit(.minutes(10)))
struct ConversationTests {
    @Test("whose time is over says that the server did not answer, not that the journal was closed")
    func overtime() async throws {
        try await withTestDatabase { url in
            let error = await thrown {
                try await Migrator(.quiet(url)).withConversation { (conversation) async throws(JournalError) -> Void in
                    conversation.limit(to: .milliseconds(1))
                    while true { try await conversation.run("select 1") }
                }
            }
            #expect(error?.code == .unreachable)
        }
    }
}
