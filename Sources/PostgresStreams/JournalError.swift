import LibPQ

/// What went wrong, and what that says of the event.
///
/// `description` says what, where and what to do, and quotes no event. Of the caller's own SQL (`JournalTransaction.query`) it
/// says what the server says, which may quote a value.
public struct JournalError: Error, Sendable, CustomStringConvertible {
    /// The kind of trouble; more may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        private init(_ description: String) { self.description = description }

        /// The server cannot be reached, or not in time.
        public static let unreachable = Code("unreachable")
        /// The server was reached and is not fit: read-only, wrong encoding, wrong credentials, missing rights.
        public static let unfit = Code("unfit")
        /// The journal's schema is missing or older than this library: migrate.
        public static let schemaBehind = Code("schemaBehind")
        /// The journal's schema is newer than this library: update.
        public static let schemaAhead = Code("schemaAhead")
        /// A migration file is not what was applied under its number.
        public static let schemaAltered = Code("schemaAltered")
        /// What was passed in cannot be.
        public static let invalidArgument = Code("invalidArgument")
        /// The event was expected at another position than the stream's next.
        public static let conflict = Code("conflict")
        /// Another writer claimed the stream.
        public static let fenced = Code("fenced")
        /// The server refuses the event or statement, and would again; unless `asksForRetry`.
        public static let refused = Code("refused")
        /// The caller's task was cancelled.
        public static let cancelled = Code("cancelled")
        /// What was delivered or acknowledged is no longer there: a failover or restore lost the end of the log.
        public static let logReplaced = Code("logReplaced")
        /// Events are missing from the middle of a log, which no writer can bring about: `Journal.verify` says where.
        public static let logDamaged = Code("logDamaged")
        /// The journal was closed.
        public static let closed = Code("closed")
    }

    /// Whether the event an error is about is in the log.
    public enum Outcome: Sendable, Hashable {
        case notWritten
        case written
        /// It may be, or may yet come to be: `Journal.resolve` finds out.
        case unknown
    }

    public var code: Code
    /// Nil where nothing was to be written.
    public var outcome: Outcome?
    public var message: String

    /// Of a conflict: where the event was to go, and the stream's next position. Of a log that was replaced: a position whose
    /// event is no longer what it was, and the position of what is found in its place, or of the end.
    public var expectedPosition: Int?
    public var actualPosition: Int?

    /// Of a fenced writer: its epoch (nil: it never claimed), and the stream's.
    public var epoch: Int?
    public var currentEpoch: Int?

    /// The server's SQLSTATE, where it gave one.
    public var sqlState: String?

    /// Whether the transaction should be tried again, from its beginning: other transactions got in its way. Only
    /// `Journal.transaction` throws such an error; all else is repeated by the journal.
    public var asksForRetry = false

    /// With an unknown outcome: what `Journal.resolve` needs.
    public var receipt: AppendReceipt?

    /// The journal makes its own; this is for those who stand in for one, in tests.
    public init(_ code: Code, outcome: Outcome? = nil, _ message: String) {
        self.code = code
        self.outcome = outcome
        self.message = message
    }

    /// A refusal by the server, in words that do not quote rows.
    init(_ refusal: ServerMessage, outcome: Outcome?) {
        self.init(.refused, outcome: outcome, "the server refused: \(refusal)\(refusal.hint.map { " (\($0))" } ?? "")")
        sqlState = refusal.sqlState
        asksForRetry = SQLState.asksForRetry(refusal.sqlState)
    }

    /// The same of a statement of ours, which a role of the right kind may run.
    init(ofOurs refusal: ServerMessage, outcome: Outcome?) {
        self.init(refusal, outcome: outcome)
        guard refusal.sqlState == SQLState.insufficientPrivilege else { return }
        message += Self.rightsHint
    }

    static let rightsHint = ". The role needs the rights of Migrations/roles.sql"

    public var description: String {
        switch outcome {
        case nil: message
        case .notWritten: "\(message); nothing was written"
        case .written: "\(message); the event had been written"
        case .unknown: "\(message); whether the event was written is not known"
        }
    }
}
