import Synchronization

/// The caller's transactions that have begun and not ended: so that the journal's end waits for them, and then ends them.
///
/// Used by `Journal`; their connections come from the `TransactionPool`.
final class RunningTransactions: Sendable {
    private struct Running {
        /// Nil while it has none.
        var conversation: Conversation?
    }

    private struct Waiter {
        var remaining: Set<Int>
        var done: Once<Void>
    }

    private struct State {
        var running: [Int: Running] = [:]
        var lastID = 0
        var waiters: [Waiter] = []
        /// None begins any more.
        var isClosed = false

        /// - Returns: who has nothing to wait for any more.
        mutating func through(_ ids: some Sequence<Int>) -> [Once<Void>] {
            for id in ids {
                running[id] = nil
                for index in waiters.indices { waiters[index].remaining.remove(id) }
            }
            defer { waiters.removeAll { $0.remaining.isEmpty } }
            return waiters.filter(\.remaining.isEmpty).map(\.done)
        }
    }

    private let state = Mutex(State())

    // MARK: For transactions

    /// The id of one that begins. `end` it.
    func begin() throws(JournalError) -> Int {
        let id: Int? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.lastID += 1
            state.running[state.lastID] = Running()
            return state.lastID
        }
        guard let id else { throw .closedUnsent }
        return id
    }

    /// It goes over this connection; false where it is over already, by no doing of its own.
    func use(_ conversation: Conversation, for id: Int) -> Bool {
        state.withLock { state in
            guard state.running[id] != nil else { return false }
            state.running[id]?.conversation = conversation
            return true
        }
    }

    /// It has ended, one way or the other, and its notifications are on their way.
    func end(_ id: Int) {
        let done = state.withLock { $0.through(CollectionOfOne(id)) }
        for done in done { done.set(()) }
    }

    // MARK: For the journal

    /// Waits for those that have begun, so long at most, or until the task is cancelled; not for those in whose bodies it is
    /// called, which could not end.
    func flush(within time: Duration) async {
        let own = TransactionBody.ids(in: self)
        let done = Once<Void>()
        let mustWait = state.withLock { state in
            let ids = Set(state.running.keys).subtracting(own)
            if !ids.isEmpty { state.waiters.append(Waiter(remaining: ids, done: done)) }
            return !ids.isEmpty
        }
        guard mustWait else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await done.value }
            group.addTask {
                try? await Task.sleep(for: time)
                done.set(())
            }
            await group.next()
            group.cancelAll()
        }
        state.withLock { $0.waiters.removeAll { $0.done === done } }
    }

    /// None begins any more, nor do those that have no connection yet: nothing of theirs was asked for. Those in whose bodies
    /// it is called end here.
    func close() {
        let beginning = state.withLock { state in
            state.isClosed = true
            return state.running.filter { $0.value.conversation == nil }.map(\.key)
        }
        end(beginning + TransactionBody.ids(in: self))
    }

    /// Ends those that there are: what they send from here on fails with `closed`.
    func endAll() {
        let ids = state.withLock { state in
            state.isClosed = true
            return Array(state.running.keys)
        }
        end(ids)
    }

    private func end(_ ids: [Int]) {
        let (conversations, done) = state.withLock { state in
            let conversations = ids.compactMap { state.running[$0]?.conversation }
            return (conversations, state.through(ids))
        }
        for conversation in conversations { conversation.close() }
        for done in done { done.set(()) }
    }
}
