import ArgumentParser
import PostgresStreams
import TisynStreams

/// `list`: the streams there are.
struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List streams: events, last activity, status.",
        discussion: """
            By name, bytewise, page by page however many there are. The status is that of the root coroutine: open while \
            it has not closed, else how it closed (ok, error, cancelled).

              durable-streams list --prefix orders/ --status open
              durable-streams list --json | jq -r .stream

            --json prints {"stream":"…","events":7,"lastActivity":"2026-11-22T18:44:23.123456Z","status":"open"} for \
            each. Without it, control characters in names come out as JSON escapes.
            """
    )

    enum Status: String, ExpressibleByArgument, CaseIterable {
        case open, closed

        var filter: StreamSummary.Filter {
            switch self {
            case .open: .open
            case .closed: .closed
            }
        }
    }

    @OptionGroup var connection: ConnectionOptions

    @Option(help: ArgumentHelp("Only streams whose names begin so.", valueName: "text"))
    var prefix = ""

    @Option(help: "Only streams whose root coroutine has, or has not, closed.")
    var status: Status?

    @Flag(help: "An object a line for each stream instead of the table.")
    var json = false

    func run() async throws {
        try await withJournal(connection.configuration) { journal in
            for try await summary in journal.streams(prefix: prefix, status: status?.filter ?? .all) {
                let line = json ? Self.jsonLine(summary) : Self.tableLine(summary)
                try await Output.standard.write(Array(line.utf8) + [UInt8(ascii: "\n")])
            }
        }
    }

    private static func jsonLine(_ summary: StreamSummary) -> String {
        let name = JSONText.string(JSONString(summary.name.text))
        return #"{"stream":\#(name),"events":\#(summary.eventCount),"#
            + #""lastActivity":"\#(Timestamp(summary.lastActivity).text)","status":"\#(summary.status.rawValue)"}"#
    }

    /// The name comes last, since only its length is unknown: no line waits for another to know how wide a column is.
    private static func tableLine(_ summary: StreamSummary) -> String {
        let count = String(summary.eventCount)
        let status = summary.status.rawValue
        return String(repeating: " ", count: max(0, 9 - count.count)) + count + " events  "
            + Timestamp(summary.lastActivity).text + "  " + status
            + String(repeating: " ", count: max(0, 9 - status.count)) + "  "
            + JSONString(summary.name.text).encoded.printableJSON
    }
}
