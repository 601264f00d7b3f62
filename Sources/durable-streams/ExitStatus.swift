import PostgresStreams

/// What the process tells whoever started it; the numbers are those of sysexits.h where it has one.
enum ExitStatus: Int32, Sendable {
    case usage = 64
    case badInput = 65
    case unavailable = 69
    case checkFailed = 70
    case outputFailed = 74
    case conflict = 75
    case interrupted = 130

    init(_ error: JournalError) {
        self =
            switch error.code {
            case .invalidArgument: .usage
            case .conflict, .fenced: .conflict
            case .cancelled: .interrupted
            // Who starts a tail again that found no server must not start this one again.
            case .logReplaced, .logDamaged: .badInput
            case .refused where Self.isAboutTheEvent(error.sqlState): .badInput
            default: .unavailable
            }
    }

    /// Data exceptions and integrity constraints (SQLSTATE classes 22 and 23): this input is refused, others are not.
    private static func isAboutTheEvent(_ sqlState: String?) -> Bool {
        guard let sqlState else { return false }
        return sqlState.hasPrefix("22") || sqlState.hasPrefix("23")
    }
}

/// An end of the process that the tool itself decides on, with its message for stderr; an empty one says nothing.
struct ToolError: Error, Sendable {
    let status: ExitStatus
    let message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }
}
