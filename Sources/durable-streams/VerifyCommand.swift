import ArgumentParser
import PostgresStreams
import TisynStreams

/// `verify`: reads logs and checks them.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read streams from end to end and check their logs.",
        discussion: """
            For each stream: positions are dense from 0; no append is there twice, and the events of each stand together; \
            every event is one, and its kind and coroutine id are those kept beside it; no coroutine yields after its \
            close; the log is as long as its head says. --all also looks for events that belong to no stream.

              durable-streams verify orders/17
              durable-streams verify --all --json

            A line on stdout for each stream: its number of events, or what is wrong and where; --json prints \
            {"stream":"…","events":7,"fault":null}, with {"law","position","details"} for a fault.

            Exits 0, or 65 with the first fault named on stderr. It changes nothing, and others may append meanwhile.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @Argument(
        help: ArgumentHelp("The streams' names.", valueName: "stream"),
        transform: StreamArgument.name
    )
    var streams: [StreamName] = []

    @Flag(help: "All streams there are.")
    var all = false

    @Flag(help: "An object a line for each stream.")
    var json = false

    func validate() throws {
        guard streams.isEmpty == all else { throw ValidationError("name the streams, or --all") }
    }

    func run() async throws {
        try await withJournal(connection.configuration) { journal in
            var first: LogFault?
            func verify(_ stream: StreamName) async throws {
                do {
                    try await report(stream, events: try await journal.verify(stream), nil)
                } catch let fault as LogFault {
                    first = first ?? fault
                    try await report(stream, events: nil, fault)
                }
            }
            for stream in streams { try await verify(stream) }
            if all {
                for try await summary in journal.streams() { try await verify(summary.name) }
                do {
                    try await journal.verifyHeads()
                } catch let fault as LogFault {
                    first = first ?? fault
                    try await report(fault.stream, events: nil, fault)
                }
            }
            if let first { throw ToolError(.badInput, "\(first)") }
        }
    }

    private func report(_ stream: StreamName, events: Int?, _ fault: LogFault?) async throws {
        let name = JSONString(stream.text)
        var line: String
        if json {
            line = #"{"stream":\#(JSONText.string(name)),"events":\#(events.map(String.init) ?? "null"),"fault":"#
            line += fault.map(Self.object) ?? "null"
            line += "}"
        } else if let fault {
            line = "\(fault.law.rawValue) at position \(fault.position): \(fault.details)  \(name.encoded)".printable
        } else {
            line = "ok, \(events ?? 0) events  \(name.encoded)".printable
        }
        try await Output.standard.write(Array(line.utf8) + [UInt8(ascii: "\n")])
    }

    private static func object(_ fault: LogFault) -> String {
        #"{"law":"\#(fault.law.rawValue)","position":\#(fault.position),"#
            + #""details":\#(JSONText.string(JSONString(fault.details)))}"#
    }
}
