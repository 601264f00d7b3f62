/// Why a private server could not be found, started, restarted or asked. Thrown by everything in this module.
///
/// It is for people: `description` says what was tried and what helps, and ends with the tail of the server's log where
/// there is one. The log of a throw-away server holds no one's data but the caller's own.
package struct PrivatePostgresError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// No folder with a PostgreSQL server's programs, or one of the wrong version.
        case binariesMissing
        /// `initdb` or the server did not come up.
        case startFailed
        /// `psql` is missing or answered with an error.
        case queryFailed
        /// A setting's name or value cannot stand in a configuration file.
        case invalidSetting
    }

    package let code: Code
    package let reason: String
    /// The last lines of the server's log; empty where there is none.
    package let logTail: String

    init(_ code: Code, _ reason: String, logTail: String = "") {
        self.code = code
        self.reason = reason
        self.logTail = logTail
    }

    package var description: String {
        logTail.isEmpty ? reason : "\(reason)\nThe end of the server's log:\n\(logTail)"
    }
}
