import CLibPQ

/// An error, warning or notice as the server (or libpq itself) reported it.
package struct ServerMessage: Error, Sendable, Equatable, CustomStringConvertible {
    /// `ERROR`, `FATAL`, `PANIC`, `WARNING`, `NOTICE` …, not translated; empty where libpq made the message itself.
    package var severity: String
    /// Five characters, see PostgreSQL's appendix A; empty where libpq made the message itself.
    package var sqlState: String
    /// The primary message. It can quote values; `detail` often does.
    package var message: String
    package var detail: String?
    package var hint: String?

    package init(severity: String, sqlState: String, message: String, detail: String? = nil, hint: String? = nil) {
        self.severity = severity
        self.sqlState = sqlState
        self.message = message
        self.detail = detail
        self.hint = hint
    }

    init(_ result: OpaquePointer) {
        func field(_ code: Int32) -> String? { PQresultErrorField(result, code).map { String(cString: $0) } }
        severity = field(Int32(UInt8(ascii: "V"))) ?? ""
        sqlState = field(Int32(UInt8(ascii: "C"))) ?? ""
        message =
            field(Int32(UInt8(ascii: "M")))
            ?? String(cString: PQresultErrorMessage(result)).trimmingTrailingWhiteSpace()
        detail = field(Int32(UInt8(ascii: "D")))
        hint = field(Int32(UInt8(ascii: "H")))
    }

    /// The server ends the connection after this one, so what it says of the transaction is not the last word.
    package var endsConnection: Bool { severity == "FATAL" || severity == "PANIC" || sqlState.isEmpty }

    /// Without `detail`, which quotes rows.
    package var description: String { sqlState.isEmpty ? message : "\(message) (SQLSTATE \(sqlState))" }
}
