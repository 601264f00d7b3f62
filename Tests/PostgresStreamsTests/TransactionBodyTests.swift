import Testing

@testable import PostgresStreams

/// The bodies that a task is inside, without a server.
@Suite("The bodies of transactions")
struct TransactionBodyTests {
    private let running = RunningTransactions()

    private func body(_ id: Int, in outer: TransactionBody?) -> TransactionBody {
        TransactionBody.$current.withValue(outer) { TransactionBody(id, of: running) }
    }

    @Test("those that each begin the next and end keep no one before them")
    func chain() {
        weak var first: TransactionBody?
        var last = body(1, in: nil)
        first = last
        for id in 2...4 {
            let next = body(id, in: last)
            last.end()
            last = next
        }
        #expect(first == nil)
        #expect(TransactionBody.$current.withValue(last) { TransactionBody.ids(in: running) } == [4])
    }

    @Test("one that is over hides none further out")
    func outerOfOver() {
        let outer = body(1, in: nil)
        let over = body(2, in: outer)
        over.end()
        let inner = body(3, in: over)
        let innermost = body(4, in: inner)
        inner.end()
        let last = body(5, in: innermost)
        #expect(TransactionBody.$current.withValue(over) { TransactionBody.ids(in: running) } == [1])
        #expect(TransactionBody.$current.withValue(last) { TransactionBody.ids(in: running) } == [5, 4, 1])
        outer.holds(StreamName(trusting: "s"))
        let error = TransactionBody.$current.withValue(last) { () -> JournalError? in
            do throws(JournalError) {
                try TransactionBody.check(StreamName(trusting: "s"), in: running)
                return nil
            } catch {
                return error
            }
        }
        #expect(error?.code == .invalidArgument)
    }
}
