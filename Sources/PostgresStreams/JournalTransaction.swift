import LibPQ
import Synchronization
import TisynStreams

/// One transaction of the caller's, in which it runs its own SQL and appends: all of it is committed, or nothing.
///
/// Handed to the body of `Journal.transaction`, and useless after it. Used by one task at a time.
public final class JournalTransaction: Sendable {
    /// An append in this transaction: what tells afterwards whether it was committed.
    struct Appended {
        var stream: StreamName
        var epoch: Int?
        var token: Token
        var position: Int
        var events: [DurableEvent]
    }

    private let conversation: Conversation
    private let statements: Statements
    private let durability: JournalConfiguration.Durability
    private let appended = Mutex<[Appended]>([])

    init(_ conversation: Conversation, _ journal: Journal) {
        self.conversation = conversation
        statements = journal.statements
        durability = journal.configuration.durability
    }

    /// What was appended so far.
    var appends: [Appended] { appended.withLock { $0 } }

    /// Runs one statement of the caller's, with `$1`, `$2` … for its parameters.
    ///
    /// - Returns: its rows, all of them in memory.
    /// - Throws: `JournalError` with the server's SQLSTATE where it refused: PostgreSQL then takes no more statements in
    ///   this transaction, so let the error leave the body. `invalidArgument` for what would end the transaction, or a
    ///   parameter with a NUL. Cancelling the task ends the connection, and with it the transaction.
    @discardableResult
    public func query(_ sql: String, _ parameters: SQLValue...) async throws(JournalError) -> SQLAnswer {
        try await query(sql, parameters)
    }

    /// The same with an array.
    @discardableResult
    public func query(_ sql: String, _ parameters: [SQLValue]) async throws(JournalError) -> SQLAnswer {
        let first = Self.firstWord(of: sql)
        guard !["begin", "start", "commit", "end", "rollback", "abort", "prepare"].contains(first) else {
            throw JournalError(
                .invalidArgument,
                "\(first.uppercased()) in a transaction of the journal: it ends with its body, and is rolled back where "
                    + "that throws"
            )
        }
        guard first != "copy" else {
            throw JournalError(.invalidArgument, "COPY in a transaction of the journal: its rows have no way to go")
        }
        var sent = Parameters()
        for parameter in parameters {
            guard parameter.text?.utf8.contains(0) != true else {
                throw JournalError(.invalidArgument, "a parameter must not hold a NUL character")
            }
            sent.append(text: parameter.text)
        }
        let statement = Statement(name: "", sql: sql, hasTextResults: true)
        return SQLAnswer(try await run(statement, sent))
    }

    /// In lower case, behind comments, blanks and empty statements.
    static func firstWord(of sql: String) -> String {
        var rest = sql[...]
        while true {
            rest = rest.drop { $0.isWhitespace || $0 == ";" }
            if rest.hasPrefix("--") {
                rest = rest.drop { !$0.isNewline }
            } else if rest.hasPrefix("/*") {
                // They nest.
                var depth = 0
                repeat {
                    if rest.hasPrefix("/*") {
                        depth += 1
                        rest = rest.dropFirst(2)
                    } else if rest.hasPrefix("*/") {
                        depth -= 1
                        rest = rest.dropFirst(2)
                    } else {
                        rest = rest.dropFirst()
                    }
                } while depth > 0 && !rest.isEmpty
            } else {
                return rest.prefix { $0.isLetter }.lowercased()
            }
        }
    }

    /// Appends an event; it is there, at the position that is returned, if the transaction commits.
    ///
    /// Until then it holds the stream's lock: other writers of the stream wait.
    ///
    /// - Throws: `JournalError`: `conflict`, `fenced` and `refused` as `PostgresStream.append`.
    @discardableResult
    public func append(
        _ event: DurableEvent,
        to stream: PostgresStream,
        expecting position: Int? = nil
    ) async throws(JournalError) -> Int {
        try await append(contentsOf: [event], to: stream, expecting: position).lowerBound
    }

    /// Appends all of these, one after the other.
    @discardableResult
    public func append(
        contentsOf events: [DurableEvent],
        to stream: PostgresStream,
        expecting position: Int? = nil
    ) async throws(JournalError) -> Range<Int> {
        try PostgresStream.check(events, expecting: position)
        guard !events.isEmpty else {
            throw JournalError(.invalidArgument, outcome: .notWritten, "there are no events to append")
        }
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
            let (statement, parameters) = segment.command(statements, durability)
            let result = try await run(statement, parameters)
            guard case .answers(let answers) = segment.answers(result) else { break }
            guard let resolution = queue.answered(segment.id, answers).first else { continue }
            let first = try resolution.result.get()
            appended.withLock { appended in
                appended.append(
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

    private func run(_ statement: Statement, _ parameters: Parameters) async throws(JournalError) -> QueryResult {
        let result: Result<QueryResult?, JournalError> = await withTaskCancellationHandler {
            do throws(JournalError) {
                return .success(try await conversation.run((statement, parameters)).last)
            } catch {
                // Whatever happened, it was not committed: that is still to come.
                var failure = error
                failure.outcome = .notWritten
                return .failure(failure)
            }
        } onCancel: {
            conversation.close()
        }
        if Task.isCancelled { throw JournalError(.cancelled, outcome: .notWritten, "the task was cancelled") }
        guard let answer = try result.get() else {
            throw JournalError(.refused, "the server gave no answer")
        }
        return answer
    }
}
