import LibPQ
import Synchronization
import TisynStreams

/// One transaction of the caller's, in which it runs its own SQL and appends: all of it is committed, or nothing.
///
/// Handed to the body of `Journal.transaction`. Used by one task at a time; once the body has returned or thrown it takes
/// nothing more, and throws `invalidArgument`.
public final class JournalTransaction: Sendable {
    /// An append in this transaction: what tells afterwards whether it was committed.
    struct Appended {
        var stream: StreamName
        var epoch: Int?
        var token: Token
        var position: Int
        var events: [DurableEvent]

        /// Of the first of a transaction's appends: whether it is there tells of all.
        var receipt: AppendReceipt {
            AppendReceipt(stream: stream, epoch: epoch, position: position, token: token, offset: 0)
        }
    }

    private struct State {
        var appends: [Appended] = []
        var ranSQL = false
        /// Why it must not be committed, whatever the body makes of it.
        var failure: JournalError?
        /// The body has ended, and the connection is somebody else's.
        var isOver = false
    }

    private let conversation: Conversation
    private let journal: Journal
    private let inside: TransactionBody
    /// The server's process that runs it, behind a pooler too.
    private let backendPID: Int?
    private let state = Mutex(State())

    init(
        _ conversation: Conversation,
        _ journal: Journal,
        _ inside: TransactionBody,
        backendPID: Int?
    ) {
        self.conversation = conversation
        self.journal = journal
        self.inside = inside
        self.backendPID = backendPID
    }

    /// The process is another than the one that was connected to.
    var isBehindPooler: Bool { backendPID != conversation.info.backendPID }

    /// What was appended so far.
    var appends: [Appended] { state.withLock { $0.appends } }

    /// Why it must not be committed; nil: it may.
    var failure: JournalError? { state.withLock(\.failure) }

    /// Whether the session, which is the next one's too, may not be as it was.
    var leavesTraces: Bool { !isBehindPooler && state.withLock { $0.ranSQL } }

    /// From here on nothing is sent: the commit or rollback is the last.
    func end() {
        state.withLock { $0.isOver = true }
        inside.end()
    }

    /// Runs one statement of the caller's, with `$1`, `$2` … for its parameters.
    ///
    /// ```swift
    /// try await tx.query("update accounts set balance = balance - $1 where id = $2", SQLValue(amount), SQLValue(id))
    /// ```
    ///
    /// Variables go in as parameters, never into the text: `"… where id = '\(id)'"` compiles, and lets whoever names an id
    /// write SQL.
    ///
    /// It waits for as long as the server is at it: set a `statement_timeout`, or cancel the task. Where nothing came for
    /// 10 s the server is asked over another connection; where it is at nothing, what was sent or its answer got lost on the
    /// way, and the transaction with it (`unreachable`).
    ///
    /// What it sets or creates for the session (`set`, advisory locks, temporary tables) ends with the transaction, but not
    /// behind a pooler, which hands it on: there write `set local`.
    ///
    /// - Returns: its rows, all of them in memory.
    /// - Throws: `JournalError` with the server's SQLSTATE where it refused: PostgreSQL then takes no more statements in
    ///   this transaction, so let the error leave the body. Cancelling the task ends the connection, and with it the
    ///   transaction. `invalidArgument`, and nothing was sent, for
    ///   - `BEGIN`, `START`, `COMMIT`, `END`, `ROLLBACK`, `ABORT`, and `PREPARE`, since `PREPARE TRANSACTION` ends it too;
    ///   - with them `ROLLBACK TO SAVEPOINT`: what was appended behind the savepoint would be taken for committed;
    ///   - `COPY`, whose rows have no way to go;
    ///   - text or a parameter with a NUL, more than 65,535 parameters, or 1 GiB of them;
    ///   - whatever comes after the body.
    ///
    ///   Also `invalidArgument`, and the transaction fails, where the statement set a `client_encoding` other than UTF8,
    ///   which events and names are sent in, or ended the transaction all the same: then the outcome is `unknown`.
    @discardableResult
    public func query(_ sql: String, _ parameters: SQLValue...) async throws(JournalError) -> SQLAnswer {
        try await query(sql, parameters)
    }

    /// The same with an array.
    @discardableResult
    public func query(_ sql: String, _ parameters: [SQLValue]) async throws(JournalError) -> SQLAnswer {
        try Self.check(sql, parameters)
        var sent = Parameters()
        for parameter in parameters { sent.append(text: parameter.text) }
        let statement = Statement(name: "", sql: sql, hasTextResults: true)
        state.withLock { $0.ranSQL = true }
        let result = try await run([(statement, sent)])
        if let standing = conversation.standing { try check(standing, after: result.commandTag) }
        return SQLAnswer(result)
    }

    /// Refuses what a statement has made of the session where appends would go wrong: it shows in no answer.
    private func check(_ standing: SessionStanding, after tag: String) throws(JournalError) {
        guard standing.isInTransaction else {
            conversation.close()
            var error = JournalError(
                .invalidArgument,
                outcome: .unknown,
                "a statement ended the transaction (\(tag)), which ends with its body"
            )
            error.receipt = appends.first?.receipt
            throw failed(error)
        }
        guard ["UTF8", ""].contains(standing.clientEncoding) else {
            throw failed(
                JournalError(
                    .invalidArgument,
                    outcome: .notWritten,
                    "client_encoding was set to \(standing.clientEncoding): events and names are sent in UTF8"
                )
            )
        }
    }

    /// From here on nothing more is run, and it is not committed.
    private func failed(_ error: JournalError) -> JournalError {
        state.withLock { state in
            if state.failure == nil { state.failure = error }
        }
        return error
    }

    private static func check(_ sql: String, _ parameters: [SQLValue]) throws(JournalError) {
        func refusal(_ reason: String) -> JournalError {
            JournalError(.invalidArgument, outcome: .notWritten, reason)
        }
        let first = firstWord(of: sql)
        // ROLLBACK TO SAVEPOINT among them: it would take back appends whose positions were told, and by which it is found
        // out whether the transaction was committed.
        guard !["begin", "start", "commit", "end", "rollback", "abort", "prepare"].contains(first) else {
            throw refusal(
                "\(first.uppercased()) in a transaction of the journal: it ends with its body, and is rolled back as a whole "
                    + "where that throws"
            )
        }
        guard first != "copy" else { throw refusal("COPY in a transaction of the journal: its rows have no way to go") }
        // libpq takes both up to their first NUL.
        guard !sql.utf8.contains(0) else { throw refusal("a statement must not hold a NUL character") }
        guard !parameters.contains(where: { $0.text?.utf8.contains(0) == true }) else {
            throw refusal("a parameter must not hold a NUL character")
        }
        guard parameters.count <= Int(UInt16.max) else {
            throw refusal("a statement has at most \(UInt16.max) parameters, not \(parameters.count)")
        }
    }

    /// In lower case, behind comments, blanks and empty statements; by PostgreSQL's rules (`src/backend/parser/scan.l`), which
    /// know bytes and no characters.
    static func firstWord(of sql: String) -> String {
        let bytes = Array(sql.utf8)
        var place = 0
        func isThere(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Bool {
            place + 1 < bytes.count && bytes[place] == UInt8(ascii: first) && bytes[place + 1] == UInt8(ascii: second)
        }
        while place < bytes.count {
            switch bytes[place] {
            // Blanks and the ends of empty statements. A vertical tab is a blank from 16 on; before, nothing begins with it.
            case 0x09...0x0D, UInt8(ascii: " "), UInt8(ascii: ";"): place += 1
            case UInt8(ascii: "-") where isThere("-", "-"):
                while place < bytes.count, bytes[place] != 0x0A, bytes[place] != 0x0D { place += 1 }
            case UInt8(ascii: "/") where isThere("/", "*"):
                // They nest.
                var depth = 0
                repeat {
                    let isBegin = isThere("/", "*")
                    let isEnd = !isBegin && isThere("*", "/")
                    depth += isBegin ? 1 : isEnd ? -1 : 0
                    place += isBegin || isEnd ? 2 : 1
                } while depth > 0 && place < bytes.count
            default:
                let word = bytes[place...].prefix { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20) }
                return String(decoding: word, as: UTF8.self).lowercased()
            }
        }
        return ""
    }

    /// Appends an event; it is there, at the position that is returned, if the transaction commits.
    ///
    /// Until the transaction has ended it holds the stream's lock: other writers of the stream, of this journal and of others,
    /// wait until then. So append last, and keep the rest of the body short. Where another transaction holds the stream, it
    /// waits itself, for 5 s.
    ///
    /// Where it throws the transaction has failed, whatever the body makes of the error: it takes nothing more, and is rolled
    /// back. So no effect is committed without its event.
    ///
    /// - Throws: `JournalError`: `conflict`, `fenced` and `refused` as `PostgresStream.append`; `unreachable` where the server
    ///   does not answer within `appendDeadline`, or within 10 s where that is less; `invalidArgument` for a stream of another
    ///   journal, and for one that is held by another transaction in whose body this is called.
    @discardableResult
    public func append(
        _ event: DurableEvent,
        to stream: PostgresStream,
        expecting position: Int? = nil
    ) async throws(JournalError) -> Int {
        try await append(contentsOf: [event], to: stream, expecting: position).lowerBound
    }

    /// Appends all of these, one after the other. Of no events: an empty range at the stream's next position.
    @discardableResult
    public func append(
        contentsOf events: [DurableEvent],
        to stream: PostgresStream,
        expecting position: Int? = nil
    ) async throws(JournalError) -> Range<Int> {
        do throws(JournalError) {
            return try await appendAll(events, to: stream, expecting: position)
        } catch {
            throw failed(error)
        }
    }

    private func appendAll(
        _ events: [DurableEvent],
        to stream: PostgresStream,
        expecting position: Int?
    ) async throws(JournalError) -> Range<Int> {
        try PostgresStream.check(events, expecting: position)
        guard stream.journal === journal else {
            throw JournalError(
                .invalidArgument,
                outcome: .notWritten,
                "stream \(stream.name) is of another journal than the transaction"
            )
        }
        guard !events.isEmpty else {
            let (statement, parameters) = stream.askingNextPosition
            let next = PostgresStream.nextPosition(try await run([(statement, parameters)], within: patience))
            return try stream.appendNothing(at: next, expecting: position)
        }
        try TransactionBody.check(
            stream.name,
            in: journal.runningTransactions,
            by: inside,
            "append to it by that transaction"
        )
        inside.holds(stream.name)
        let append = Append(
            id: 0,
            stream: stream.name,
            epoch: stream.epoch,
            expecting: position,
            events: events,
            byteCount: Append.byteCount(of: events),
            deadline: .now
        )
        var queue = AppendQueue(limits: .init(bytes: .max))
        queue.add(append)
        // Where the end is too far from what we know the server says it, under the lock; the second time it is right.
        for _ in 0..<2 {
            guard let segment = queue.nextSegment(), let sent = segment.runs.first else { break }
            let (statement, parameters) = segment.command(
                journal.statements,
                journal.configuration.durability,
                hasSettings: false
            )
            let result = try await runAppend(journal.statements.holding(stream.name), (statement, parameters))
            guard case .answers(let answers) = segment.answers(result) else { break }
            guard let resolution = queue.answered(segment.id, answers).first else { continue }
            let first = try resolution.result.get()
            state.withLock { state in
                state.appends.append(
                    Appended(
                        stream: stream.name,
                        epoch: stream.epoch,
                        token: sent.token,
                        position: first,
                        events: events
                    )
                )
            }
            return first..<(first + events.count)
        }
        throw JournalError(.refused, outcome: .notWritten, "the server answered an append in an unknown form")
    }

    private func runAppend(_ commands: (Statement, Parameters)...) async throws(JournalError) -> QueryResult {
        do throws(JournalError) {
            return try await run(commands, within: patience)
        } catch {
            var error = error
            if error.sqlState == SQLState.insufficientPrivilege { error.message += JournalError.rightsHint }
            if error.sqlState == SQLState.lockNotAvailable {
                error.message = "another transaction holds the stream: \(error.message)"
            }
            // Somebody took the position after this transaction's snapshot, or holds the stream.
            if error.sqlState == SQLState.uniqueViolation || error.sqlState == SQLState.lockNotAvailable {
                error.asksForRetry = true
            }
            throw error
        }
    }

    /// How long what the journal asks for itself may take. What lies between may swallow it, and tell nobody.
    ///
    /// More than the 5 s that an append waits for its stream.
    private var patience: Duration { max(journal.configuration.appendDeadline, .seconds(10)) }

    private var inquirer: Alarm.Inquirer {
        { [inquiry = journal.inquiry, backendPID] completion in
            let deadline = ContinuousClock.now + Link.longestSilence
            inquiry.ask(about: backendPID, over: inquiry.requester(), deadline: deadline, completion: completion)
        }
    }

    /// The last one's answer.
    ///
    /// - Parameter time: how long that may take, until the connection is ended; nil: as long as the server is at it.
    private func run(
        _ commands: [(Statement, Parameters)],
        within time: Duration? = nil
    ) async throws(JournalError) -> QueryResult {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let refusal: JournalError? = state.withLock { state in
                    guard !state.isOver else { return Self.isOver }
                    if let failure = state.failure { return failure }
                    if let time { conversation.limit(to: time) } else { conversation.watch(by: inquirer) }
                    conversation.submit(commands) { [conversation] result in
                        conversation.limit(to: nil)
                        continuation.resume(returning: result)
                    }
                    return nil
                }
                if let refusal { continuation.resume(returning: .failure(refusal)) }
            }
        } onCancel: {
            state.withLock { if !$0.isOver { conversation.close() } }
        }
        do throws(JournalError) {
            guard !Task.isCancelled else { throw JournalError.cancelled }
            guard let answer = try result.get().last else {
                throw JournalError(.refused, "the server gave no answer")
            }
            return answer
        } catch {
            // Whatever happened, it was not committed: that is still to come.
            var failure = error.ofTransaction
            failure.outcome = .notWritten
            throw failure
        }
    }

    private static var isOver: JournalError {
        JournalError(.invalidArgument, "the transaction is over: its body has ended")
    }
}
