import Testing

@testable import PostgresStreams

/// The connections of transactions, and those that begin, where there is no server.
@Suite("The pool of transactions' connections", .timeLimit(.minutes(10)))
struct TransactionPoolTests {
    private static var pool: TransactionPool { TransactionPool(.init(connectionString: "host=/nowhere"), limit: 1) }

    /// Longer than the suite's time limit.
    private static let long = Duration.seconds(1200)

    @Test("its end ends at once, as closed, who waits for a connection to be made or for another's")
    func closed() async {
        guard #available(macOS 26, *) else { return }
        let pool = Self.pool
        let taking = (0..<2).map { _ in
            Task.immediate { await thrown { try await pool.take(within: Self.long) } }
        }
        pool.close()
        for task in taking { #expect(await task.value?.code == .closed) }
    }

    @Test("cancelling ends the wait for a connection to be made, and whoever is next makes one")
    func cancelled() async {
        guard #available(macOS 26, *) else { return }
        let pool = Self.pool
        let first = Task.immediate { await thrown { try await pool.take(within: Self.long) } }
        let second = Task.immediate { await thrown { try await pool.take(within: Self.long) } }
        first.cancel()
        #expect(await first.value?.code == .cancelled)
        second.cancel()
        #expect(await second.value?.code == .cancelled)
        pool.close()
    }

    @Test("who comes later with an earlier deadline does not wait for the other's")
    func earlierDeadline() async {
        guard #available(macOS 26, *) else { return }
        let pool = Self.pool
        let making = Task.immediate { await thrown { try await pool.take(within: Self.long) } }
        let waiting = Task.immediate { await thrown { try await pool.take(within: Self.long) } }
        let error = await thrown { try await pool.take(within: .milliseconds(10)) }
        #expect(error?.message.contains("kept all 1 connections") == true)
        pool.close()
        for task in [making, waiting] { #expect(await task.value?.code == .closed) }
    }

    @Test("the journal's end waits for none that has no connection, and it begins no more")
    func beginning() async throws {
        let running = RunningTransactions()
        _ = try running.begin()
        running.close()
        await running.flush(within: Self.long)
        #expect(throws: JournalError.self) { try running.begin() }
    }
}
