import ChildProcesses
import Foundation

/// A connection that is not the library's: a `psql` that stays open, for tests that look at the tables, hold locks and
/// break rules. One statement at a time; transactions span calls.
final class SQLSession: Sendable {
    struct Failure: Error, CustomStringConvertible {
        /// `08006` where the server went away.
        let sqlState: String
        let description: String
    }

    private let process: ChildProcess
    private let socket: LocalSocket
    /// Reading blocks: on a thread of its own, and one call after the other.
    private let queue = DispatchQueue(label: "sql-session")

    /// Ends the answer to one call. No value in these tests holds it.
    private static let mark = "\u{1D}"
    private static let fieldMark = "\u{1F}"
    private static let rowMark = "\u{1E}"

    /// - Parameter showsNotices: notices come as rows; otherwise they are suppressed.
    init(_ url: String, showsNotices: Bool = false) async throws {
        let folder = TestServer.isPrivate ? try await TestServer.shared.server().binaries + ":" : ""
        (process, socket) = try await Self.start(url, programs: folder, showsNotices: showsNotices)
        try await run("select")
    }

    /// On its return only psql holds the other end: it is closed with psql.
    private static func start(
        _ url: String,
        programs: String,
        showsNotices: Bool
    ) async throws -> (ChildProcess, LocalSocket) {
        let (ours, theirs) = try LocalSocket.pair()
        var environment = ProcessInfo.processInfo.environment
        environment["PATH"] = programs + (environment["PATH"] ?? "")
        environment["PGCLIENTENCODING"] = "UTF8"
        environment["PGOPTIONS"] = "-c client_min_messages=\(showsNotices ? "notice" : "error")"
        environment["LC_ALL"] = "C"
        let process = try await ChildProcess(
            "/usr/bin/env",
            ["psql", "-X", "-A", "-t", "-q", "-F", fieldMark, "-R", rowMark, "-d", url],
            environment: environment,
            input: theirs.descriptor,
            output: theirs.descriptor,
            errors: theirs.descriptor
        )
        return (process, ours)
    }

    deinit { close() }

    /// Ends the connection at once, whatever it is at.
    func close() {
        socket.end()
        process.terminate()
    }

    /// The rows of one statement, each value as text; null is empty. Cancelling the task ends the session.
    @discardableResult
    func run(_ sql: String) async throws -> [[String]] {
        let answer = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                queue.async { continuation.resume(returning: self.ask(sql)) }
            }
        } onCancel: {
            close()
        }
        guard var text = answer.text, let state = answer.state else {
            throw Failure(sqlState: "08006", description: answer.text ?? "psql is gone")
        }
        guard state == "00000" else { throw Failure(sqlState: state, description: text) }
        guard text.hasSuffix("\n") else { return [] }
        text.removeLast()
        return text.components(separatedBy: Self.rowMark).map { $0.components(separatedBy: Self.fieldMark) }
    }

    /// The first value of the first row.
    func value(_ sql: String) async throws -> String { try await run(sql).first?.first ?? "" }

    func integer(_ sql: String) async throws -> Int { Int(try await value(sql)) ?? -1 }

    /// The SQLSTATE of a statement that is refused; `00000` of one that is not.
    func refusal(_ sql: String) async throws -> String {
        do {
            try await run(sql)
            return "00000"
        } catch let failure as Failure {
            return failure.sqlState
        }
    }

    private func ask(_ sql: String) -> (text: String?, state: String?) {
        socket.send("\(sql)\n;\n\\echo '\(Self.mark)' :SQLSTATE\n".utf8)
        var bytes: [UInt8] = []
        let mark = Self.mark.utf8.first
        while true {
            guard let more = socket.receive() else { return (String(decoding: bytes, as: UTF8.self), nil) }
            bytes += more
            guard bytes.last == UInt8(ascii: "\n"), let end = bytes.lastIndex(where: { $0 == mark }) else { continue }
            let state = String(decoding: bytes[(end + 1)...], as: UTF8.self)
            return (
                String(decoding: bytes[..<end], as: UTF8.self), state.trimmingCharacters(in: .whitespacesAndNewlines)
            )
        }
    }
}

/// Runs `body` with a connection that is not the library's.
@discardableResult
func withSQL<R: Sendable>(
    _ url: String,
    showsNotices: Bool = false,
    _ body: (SQLSession) async throws -> R
) async throws -> R {
    let session = try await SQLSession(url, showsNotices: showsNotices)
    defer { session.close() }
    return try await body(session)
}

extension String {
    /// As an SQL literal.
    var literal: String { "'" + replacingOccurrences(of: "'", with: "''") + "'" }
}
