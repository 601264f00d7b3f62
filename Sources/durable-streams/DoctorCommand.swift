import ArgumentParser
import PostgresStreams
import TisynStreams

/// `doctor`: what stands between this program and a durable log on the user's server.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Examine a server: is a log on it durable, and what would get in its way?",
        discussion: """
            Looks at the server, its settings, the role, the schema, TLS, poolers, standbys, listening, clocks and the time \
            a commit takes, and changes nothing. A line for each: ok, warning or problem; below it what it means and what \
            to do.

              durable-streams doctor
              durable-streams doctor --json | jq 'select(.verdict != "ok")'

            --json prints {"check":"fsync","verdict":"problem","found":"…","meaning":"…","advice":"…"} for each; meaning \
            and advice are left out where there is nothing to say.

            Exits 0, or 69 where there is a problem.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @OptionGroup var listening: ListenOptions

    @Flag(help: "An object a line for each finding.")
    var json = false

    func run() async throws {
        var configuration = connection.configuration
        configuration.listenURL = listening.url(besides: connection)
        let diagnosis = try await Doctor(configuration).examine()
        // It ends early then, and what it says of the rest is not so.
        try Task.checkCancellation()
        let lines = diagnosis.findings.map(json ? Self.jsonLine : Self.lines)
        try await Output.standard.write(Array(lines.joined().utf8))
        let problems = diagnosis.count(of: .problem)
        let summary = "\(Self.count(problems, "problem")), \(Self.count(diagnosis.count(of: .warning), "warning"))"
        guard problems == 0 else { throw ToolError(.unavailable, summary) }
        StandardError.say(summary)
    }

    private static func count(_ count: Int, _ noun: String) -> String {
        "\(count == 0 ? "no" : String(count)) \(noun)\(count == 1 ? "" : "s")"
    }

    private static func advice(_ finding: Finding) -> String? {
        finding.advice.map { $0.hasPrefix("durable-streams migrate") ? $0 + ConnectionOptions.hint : $0 }
    }

    private static func lines(_ finding: Finding) -> String {
        func column(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        let indent = String(repeating: " ", count: 29)
        let first = column(finding.verdict.rawValue, 9) + column(finding.check, 20) + finding.found
        let rest = [finding.meaning, advice(finding).map { "→ " + $0 }].compactMap { $0 }
        return ([first] + rest.map { indent + $0 }).map(\.printable).joined(separator: "\n") + "\n"
    }

    private static func jsonLine(_ finding: Finding) -> String {
        let members: [(String, String?)] = [
            ("check", finding.check), ("verdict", finding.verdict.rawValue), ("found", finding.found),
            ("meaning", finding.meaning), ("advice", advice(finding)),
        ]
        let body = members.compactMap { name, value in
            value.map { "\"\(name)\":\(JSONText.string(JSONString($0)))" }
        }
        return "{" + body.joined(separator: ",") + "}\n"
    }
}
