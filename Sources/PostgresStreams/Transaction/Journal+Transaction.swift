import LibPQ

/// How much of other transactions one of the caller's sees: PostgreSQL's levels.
public enum TransactionIsolation: String, Sendable, CaseIterable {
    case readCommitted = "read committed"
    case repeatableRead = "repeatable read"
    case serializable = "serializable"
}

extension Journal {
    /// Runs the caller's SQL and appends in one transaction: so a step that touches only this database is recorded exactly
    /// once, with its effect.
    ///
    /// ```swift
    /// try await journal.transaction { tx in
    ///     try await tx.query("update accounts set balance = balance - $1 where id = $2", 4200, "u-123")
    ///     try await tx.append(event, to: stream)
    /// }
    /// ```
    ///
    /// It is committed when `body` returns, and rolled back when `body` throws, or has caught what an append of the
    /// transaction threw. The body runs once: where other transactions got in its way and it should be tried again (the error's
    /// `asksForRetry`), or its connection was lost (`unreachable` with the outcome `notWritten`), that is the caller's to do.
    /// Its notifications go out after the commit.
    ///
    /// From its first append to a stream on, all other writers of that stream wait until it has ended: append last, and keep
    /// what comes behind short. What would wait for the end of the body it stands in is refused with `invalidArgument`:
    /// `PostgresStream.append` and `claim` of such a stream, and an append to it by another transaction of the same journal.
    /// Other streams, and other transactions that leave these alone, are as free there as elsewhere, but each takes one of the
    /// configuration's `transactionConnections`. Inside the body are its child tasks and each `Task` made there; a detached
    /// one is not, and waits.
    ///
    /// A connection lost during the commit is settled like that of an append, by what the transaction appended, for the
    /// configuration's `appendDeadline`. A transaction that appended nothing leaves nothing to look for.
    ///
    /// - Returns: what `body` returned, once the transaction is durable by the configuration's `durability`, whatever the body
    ///   set.
    /// - Throws: what `body` threw, and then nothing was written; a `JournalError` whose `outcome` says whether it was
    ///   committed. Cancelling the task while `body` runs rolls it back; a commit that was sent is waited for. `closed` when
    ///   the journal is closed, see `close`.
    @discardableResult
    public func transaction<R: Sendable>(
        isolation: TransactionIsolation = .readCommitted,
        on actor: isolated (any Actor)? = #isolation,
        _ body: (JournalTransaction) async throws -> R
    ) async throws -> R {
        let inside = TransactionBody(try runningTransactions.begin(), of: runningTransactions)
        defer { runningTransactions.end(inside.id) }
        let (conversation, transaction) = try await begin(isolation, inside)
        let result: R
        do {
            result = try await TransactionBody.$current.withValue(inside) { try await body(transaction) }
            guard !Task.isCancelled else {
                throw JournalError.cancelledUnsent
            }
            if let failure = transaction.failure { throw failure }
        } catch {
            transaction.end()
            await rollBack(conversation, transaction)
            if let failure = transaction.failure, failure.outcome != .notWritten { isOver(transaction, failure) }
            throw error
        }
        transaction.end()
        do throws(JournalError) {
            try await commit(conversation, transaction)
        } catch {
            isOver(transaction, error)
            throw error
        }
        for append in transaction.appends {
            replayIndices.appended(append.events, to: append.stream, at: append.position)
        }
        announce(transaction.appends.map(\.stream))
        return result
    }

    /// It failed, and what it appended may be there.
    private func isOver(_ transaction: JournalTransaction, _ error: JournalError) {
        replayIndices.failed(transaction.appends.map { ($0.events, $0.stream, $0.position) }, error)
        // Who tails looks.
        if error.outcome != .notWritten { announce(transaction.appends.map(\.stream)) }
    }

    private func begin(
        _ isolation: TransactionIsolation,
        _ inside: TransactionBody
    ) async throws(JournalError) -> (Conversation, JournalTransaction) {
        let deadline = ContinuousClock.now + configuration.appendDeadline
        do throws(JournalError) {
            while true {
                let conversation = try await transactions.take(within: max(.zero, deadline - .now))
                guard runningTransactions.use(conversation, for: inside.id) else {
                    conversation.close()
                    transactions.giveBack(nil)
                    throw .closed
                }
                switch await begin(isolation, over: conversation, until: deadline) {
                case .success(let backendPID):
                    let transaction = JournalTransaction(conversation, self, inside, backendPID: backendPID)
                    if !transaction.isBehindPooler { conversation.goAhead() }
                    return (conversation, transaction)
                case .failure(let error):
                    // A connection that was kept may have died meanwhile; nothing was done over it.
                    conversation.close()
                    transactions.giveBack(nil)
                    guard !Task.isCancelled else { throw JournalError.cancelled }
                    // It is also closed where its session could not be reset. Whether it was the journal, and what to say where
                    // there is no time left, the next one tells.
                    guard error.code == .closed || (error.code == .unreachable && ContinuousClock.now < deadline) else {
                        throw error
                    }
                }
            }
        } catch {
            var failure = error
            failure.outcome = .notWritten
            throw failure
        }
    }

    /// The process id of the server's that runs it.
    private func begin(
        _ isolation: TransactionIsolation,
        over conversation: Conversation,
        until deadline: ContinuousClock.Instant
    ) async -> Result<Int?, JournalError> {
        conversation.limit(to: max(.zero, deadline - .now))
        defer { conversation.limit(to: nil) }
        return await withTaskCancellationHandler {
            do throws(JournalError) {
                let begin = Statement(name: "", sql: "begin isolation level \(isolation.rawValue) read write")
                var durability = Parameters()
                durability.append(configuration.durability.rawValue)
                let results = try await conversation.run(
                    (begin, Parameters()),
                    (statements.transactionSettings, durability)
                )
                // The reset that went before it may have failed.
                guard conversation.isOpen else { return .failure(.closed) }
                return .success(results.last?.integer(row: 0, column: 0))
            } catch {
                return .failure(error)
            }
        } onCancel: {
            conversation.close()
        }
    }

    /// What lies between may swallow what is said, and tell nobody: then the connection is closed.
    @discardableResult
    private func end(
        _ conversation: Conversation,
        by end: (Conversation) async throws(JournalError) -> [QueryResult]
    ) async throws(JournalError) -> [QueryResult] {
        conversation.limit(to: configuration.appendDeadline)
        // Before somebody else has it.
        defer { conversation.limit(to: nil) }
        return try await end(conversation)
    }

    private func rollBack(_ conversation: Conversation, _ transaction: JournalTransaction) async {
        do throws(JournalError) {
            try await end(conversation) { (conversation) async throws(JournalError) in
                try await conversation.run("rollback")
            }
            giveBack(conversation, transaction)
        } catch {
            // Then the connection is gone, and with it the transaction.
            conversation.close()
            transactions.giveBack(nil)
        }
    }

    private func giveBack(_ conversation: Conversation, _ transaction: JournalTransaction) {
        if transaction.leavesTraces { conversation.resetSession() }
        transactions.giveBack(conversation)
    }

    private func commit(_ conversation: Conversation, _ transaction: JournalTransaction) async throws(JournalError) {
        let results: [QueryResult]
        do throws(JournalError) {
            results = try await end(conversation) { (conversation) async throws(JournalError) in
                // Whatever the caller set: it returns once it is durable, and the warning of a commit that no longer waits
                // for its standbys must come through.
                try await conversation.run(
                    "set local synchronous_commit = '\(configuration.durability.rawValue)'",
                    "set local client_min_messages = warning",
                    "commit"
                )
            }
        } catch {
            conversation.close()
            transactions.giveBack(nil)
            // It was never sent.
            guard error.outcome == nil else { throw error.ofTransaction }
            guard error.sqlState != "25P02" else { throw Self.failedBefore }
            // A refused COMMIT (a deferred constraint, a serialization failure) is a rollback.
            let isOpen = error.sqlState.map(SQLState.leavesOutcomeOpen) ?? true
            guard isOpen || error.code == .unreachable else {
                var refusal = error
                refusal.outcome = .notWritten
                throw refusal
            }
            return try await settle(transaction, after: error)
        }
        giveBack(conversation, transaction)
        // COMMIT in a failed transaction answers with an OK status and this tag.
        guard results.last?.commandTag == "COMMIT" else { throw Self.failedBefore }
    }

    private static var failedBefore: JournalError {
        JournalError(
            .refused,
            outcome: .notWritten,
            "a statement of the transaction had failed, so that its commit was a rollback: let the error leave the body"
        )
    }

    /// Whether a transaction whose connection was lost during the commit was committed.
    ///
    /// It holds the locks of its streams until it has ended, one way or the other: who gets one of them sees how.
    private func settle(_ transaction: JournalTransaction, after loss: JournalError) async throws(JournalError) {
        var error = loss.ofTransaction
        error.outcome = .unknown
        guard let first = transaction.appends.first else {
            error.message += "; the transaction appended nothing that could be looked for"
            throw error
        }
        error.receipt = first.receipt
        switch await find(first) {
        case .success(.some): return
        case .success(nil): (error.outcome, error.receipt) = (.notWritten, nil)
        // Not found out: unknown, as it was.
        case .failure: break
        }
        throw error
    }

    /// Where it is; nil where it is not. Whoever cancels waits for it too: a commit was sent.
    private func find(_ append: JournalTransaction.Appended) async -> Result<Int?, JournalError> {
        let parameters = resolving(append.stream, append.token, from: append.position, waits: true)
        let deadline = ContinuousClock.now + configuration.appendDeadline
        return await withCheckedContinuation { continuation in
            // The lock is waited for ahead of `resolve`, which would do it for a time of its own.
            lockWaiter.send(
                [statements.locking(append.stream), (statements.resolve, parameters)],
                deadline: deadline,
                waitsForLock: true
            ) { result in
                continuation.resume(returning: result.map { $0.integer(row: 0, column: 0) })
            }
        }
    }
}

extension JournalError {
    /// Of a transaction's connection it says why that was closed on this side.
    var ofTransaction: JournalError {
        guard code == .closed else { return self }
        var error = self
        error.message = "the transaction was ended: the journal was closed, or a task in its body cancelled"
        return error
    }
}

extension Conversation {
    /// Takes from the session what a transaction may have left behind in it, its role and settings, locks, cursors and
    /// temporary tables, ahead of all that is run from here on. Not waited for; where it fails the session is closed.
    ///
    /// It is `discard all` without the plans: they would have to be made again, and the next transaction would take half as
    /// long again. Behind a pooler the session is not ours to reset.
    func resetSession() {
        let statements = [
            "close all", "set session authorization default", "reset role", "reset all", "deallocate all", "unlisten *",
            // For this batch: temporary tables are nothing that standbys must have.
            "select pg_catalog.set_config('synchronous_commit', 'off', true)",
            "select pg_catalog.pg_advisory_unlock_all()", "discard temp", "discard sequences",
        ]
        submit(statements.map { (Statement(name: "", sql: $0), Parameters()) }) { [self] result in
            if case .failure = result { close() }
        }
    }
}
