import LibPQ
import Synchronization

/// Who the server says it is, at the start of a session.
struct Greeting: Sendable {
    var info: ConnectionInfo
    /// Something between us and the server runs our statements on connections of its own choice.
    var isBehindPooler: Bool
    var isInRecovery: Bool
    /// Transactions that do not ask to write cannot.
    var isReadOnly: Bool
    /// The isolation that transactions have which ask for none.
    var isolation: String
    /// The way to the server and back, where it was measured.
    var way: Duration?

    /// Collects the answers; touched on the session's thread, but by closures that may be anywhere.
    final class Conversation: Sendable {
        private struct Answers {
            var backendPID: Int?
            var isInRecovery = false
            var isReadOnly = false
            var encoding = ""
            var isolation = ""
            var schemaVersion: Int?
            var failure: BatchFailure?
        }

        private let answers = Mutex(Answers())

        func greeted(_ result: QueryResult) {
            answers.withLock {
                $0.backendPID = result.integer(row: 0, column: 0)
                $0.isInRecovery = result.bool(row: 0, column: 1)
                $0.isReadOnly = result.text(row: 0, column: 2) == "on"
                $0.encoding = result.text(row: 0, column: 3)
                $0.isolation = result.text(row: 0, column: 4)
            }
        }

        func foundVersion(_ result: QueryResult) {
            answers.withLock { $0.schemaVersion = result.integer(row: 0, column: 0) }
        }

        func fail(_ failure: BatchFailure) {
            answers.withLock { $0.failure = $0.failure ?? failure }
        }

        /// What came of it: a server that is fit, or why it is not.
        func greeting(_ info: ConnectionInfo, _ options: Link.Options) -> Result<Greeting, JournalError> {
            let answers = answers.withLock { $0 }
            if let failure = answers.failure {
                return .failure(Self.error(failure, schema: options.schema))
            }
            guard answers.encoding == "UTF8" else {
                return .failure(.wrongEncoding(answers.encoding))
            }
            if options.needsPrimary, answers.isInRecovery || answers.isReadOnly {
                let reason = answers.isInRecovery ? "a standby" : "read-only"
                return .failure(
                    JournalError(
                        .unfit,
                        "\(info.place) is \(reason) and takes no appends: name the primary, or several hosts with "
                            + "target_session_attrs=read-write"
                    )
                )
            }
            if let known = options.schemaVersion, let found = answers.schemaVersion, known != found {
                return .failure(Migrator.mismatch(found: found, known: known, schema: options.schema))
            }
            let isBehindPooler = answers.backendPID != info.backendPID
            return .success(
                Greeting(
                    info: info,
                    isBehindPooler: isBehindPooler,
                    isInRecovery: answers.isInRecovery,
                    isReadOnly: answers.isReadOnly,
                    isolation: answers.isolation
                )
            )
        }

        private static func error(_ failure: BatchFailure, schema: SchemaName) -> JournalError {
            switch failure {
            case .connectionLost(let failure, _): return JournalError(failure)
            case .refused(let message):
                if [SQLState.undefinedTable, SQLState.invalidSchemaName].contains(message.sqlState) {
                    return Migrator.missing(schema: schema)
                }
                var error = JournalError(ofOurs: message, outcome: nil)
                // A role's time-out may have met a lock or a busy moment; the next attempt may pass.
                let passes =
                    SQLState.isWorthRetrying(message.sqlState) || SQLState.leavesOutcomeOpen(message.sqlState)
                error.code = passes ? .unreachable : .unfit
                return error
            }
        }
    }
}

extension JournalError {
    static func wrongEncoding(_ encoding: String) -> JournalError {
        JournalError(
            .unfit,
            "the database's encoding is \(encoding), a journal needs UTF8: "
                + "create database … encoding 'UTF8' template template0"
        )
    }
}
