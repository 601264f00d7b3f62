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
        /// The one that its own transaction was begun in, or the next further out that was not over when it was last looked.
        var outer: TransactionBody?
    }

    /// Its place among the journal's running transactions.
    let id: Int
    /// Not the journal: a task that goes on behind the body would keep it open.
    private let running: RunningTransactions
    private let state: Mutex<State>

    init(_ id: Int, of running: RunningTransactions) {
        self.id = id
        self.running = running
        state = Mutex(State(outer: Self.nearest(from: Self.current)))
        var body = outer
        while let next = body { body = next.skipOver() }
    }

    private var outer: TransactionBody? { state.withLock(\.outer) }

    /// Forgets those further out that are over. A body may begin the next one in a task of its own and end, and that one the
    /// next, for as long as the process lives.
    ///
    /// - Returns: the next one that is not over.
    private func skipOver() -> TransactionBody? {
        let next = Self.nearest(from: outer)
        // What it lets go of is freed behind the lock: it has a state too.
        let last = state.withLock { state in
            defer { state.outer = next }
            return state.outer
        }
        return withExtendedLifetime(last) { next }
    }

    /// The first that is not over, of this one and those it is inside.
    private static func nearest(from body: TransactionBody?) -> TransactionBody? {
        var nearest = body
        while let body = nearest {
            let (isOver, outer) = body.state.withLock { ($0.isOver, $0.outer) }
            guard isOver else { break }
            nearest = outer
        }
        return nearest
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
