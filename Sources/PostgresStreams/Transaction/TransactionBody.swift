import Synchronization

/// The body of one transaction of the caller's, as the tasks inside it know it: so that what would wait for the end of the
/// body it stands in is refused, and not waited for until a deadline.
///
/// Child tasks are inside, and so is a `Task` that was made there, since the body may wait for it. A detached task is not:
/// it waits as any other writer does.
final class TransactionBody: Sendable {
    /// The innermost that the current task is inside.
    @TaskLocal static var current: TransactionBody?

    private struct State {
        /// It has their locks until it is over.
        var streams: Set<StreamName> = []
        var isOver = false
    }

    /// Its place among the journal's running transactions.
    let id: Int
    /// Not the journal: a task that goes on behind the body would keep it open.
    private let running: RunningTransactions
    /// The one that its own transaction was begun in.
    private let outer: TransactionBody?
    private let state = Mutex(State())

    init(_ id: Int, of running: RunningTransactions) {
        self.id = id
        self.running = running
        outer = Self.current
    }

    /// From here on it has the stream's lock, or waits for it.
    func holds(_ stream: StreamName) {
        state.withLock { if !$0.isOver { $0.streams.insert(stream) } }
    }

    /// The locks are free, or are about to be.
    func end() { state.withLock { ($0.streams, $0.isOver) = ([], true) } }

    /// The ids of the journal's transactions that the current task is inside, the innermost first.
    static func ids(in running: RunningTransactions) -> [Int] {
        var ids: [Int] = []
        var next = current
        while let body = next {
            if body.running === running, !body.state.withLock({ $0.isOver }) { ids.append(body.id) }
            next = body.outer
        }
        return ids
    }

    /// Refuses what would wait for the end of a body that the current task is inside.
    ///
    /// - Parameters:
    ///   - transaction: whose own append it is; nil where it is none's.
    ///   - advice: what to do instead.
    static func check(
        _ stream: StreamName,
        in running: RunningTransactions,
        by transaction: TransactionBody? = nil,
        _ advice: @autoclosure () -> String = "use the transaction's own append"
    ) throws(JournalError) {
        var next = current
        while let body = next {
            if body !== transaction, body.running === running, body.state.withLock({ $0.streams.contains(stream) }) {
                throw JournalError(
                    .invalidArgument,
                    outcome: .notWritten,
                    "stream \(stream) is held by the transaction in whose body this is called, until that body ends: "
                        + advice()
                )
            }
            next = body.outer
        }
    }
}
