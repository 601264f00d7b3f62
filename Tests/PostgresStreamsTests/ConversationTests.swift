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

    /// A transaction of the caller's that is not begun, and its connection.
    private func withTransaction(
        byteLimit: Int = 1 << 20,
        _ body: (JournalTransaction, Conversation, Journal) async throws -> Void
    ) async throws {
        try await withTestJournal { journal in
            let conversation = try await Conversation.open(
                Link.Options(journal.configuration, journal.schema).session,
                within: .seconds(600),
                byteLimit: byteLimit
            )
            defer { conversation.close() }
            let inside = TransactionBody(try journal.runningTransactions.begin(), of: journal.runningTransactions)
            defer { journal.runningTransactions.end(inside.id) }
            try await body(JournalTransaction(conversation, journal, inside, backendPID: nil), conversation, journal)
        }
    }

    @Test("refuses parameters that no server takes before they are sent, the caller's own too")
    func tooLarge() async throws {
        try await withTransaction(byteLimit: 100) { transaction, conversation, _ in
            for parameters in [["\(String(repeating: "a", count: 100))"], Array(repeating: "a", count: 100)] {
                let error = await thrown { try await transaction.query("select 1", parameters.map { SQLValue($0) }) }
                #expect(error?.code == .invalidArgument)
                #expect(error?.outcome == .notWritten)
                #expect(error?.message.contains("1 GiB") == true)
            }
            try await conversation.run("begin")
            let answer = try await transaction.query("select $1", SQLValue(String(repeating: "a", count: 90)))
            #expect(answer.first?[0].text?.count == 90)
        }
    }

    @Test("a transaction of the caller's that has ended, however that went, is found so behind the next statement")
    func ended() async throws {
        try await withTransaction { transaction, conversation, journal in
            let stream = try journal.stream("s")
            try await conversation.run("begin")
            try await transaction.append(.close("a", .cancelled), to: stream)
            try await conversation.run("commit")
            let error = await thrown { try await transaction.query("select 1") }
            #expect(error?.code == .invalidArgument)
            #expect(error?.outcome == .unknown)
            let receipt = try #require(error?.receipt)
            #expect(try await journal.resolve(receipt) == .written(at: 0))
            #expect(transaction.failure?.message.contains("ended the transaction") == true)
            #expect(!conversation.isOpen)
            let later = await thrown { try await transaction.append(.close("root", .cancelled), to: stream) }
            #expect(later?.code == .invalidArgument)
            #expect(try await stream.nextPosition() == 1)
        }
    }
}
