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
            close; the log is as long as the stream was at the start. --all also looks for events that belong to no stream.

              durable-streams verify orders/17
              durable-streams verify --all --json

            A line on stdout for each stream: its number of events, or what is wrong and where, or that there is no such \
            stream; --json prints {"stream":"…","events":7,"fault":null}, with {"law","position","details"} for a fault. \
            Without a fault, "events" is null where there is no such stream. Of events that belong to none, "stream" is null, \
            and the fault says their "streamID".

            Exits 0, or 65 with the first fault, or the first stream that is not there, named on stderr. It changes nothing, \
            and others may append meanwhile.
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
            var first: String?
            func verify(_ stream: StreamName) async throws {
                do {
                    let count = try await journal.verify(stream)
                    if count == 0, try await !Self.isThere(stream, in: journal) {
                        first = first ?? "there is no stream \(stream)"
                        try await report(stream, events: nil, nil)
                    } else {
                        try await report(stream, events: count, nil)
                    }
                } catch let fault as LogFault {
                    first = first ?? "\(fault)"
                    try await report(stream, events: nil, fault)
                }
            }
            for stream in streams { try await verify(stream) }
            if all {
                for try await summary in journal.streams() { try await verify(summary.name) }
                do {
                    try await journal.verifyOwners()
                } catch let fault as LogFault {
                    first = first ?? "\(fault)"
                    try await report(fault.stream, events: nil, fault)
                }
            }
            if let first { throw ToolError(.badInput, first) }
        }
    }

    /// Of all names that begin with this one it is the first.
    private static func isThere(_ stream: StreamName, in journal: Journal) async throws -> Bool {
        var streams = journal.streams(prefix: stream.text).makeAsyncIterator()
        return try await streams.next()?.name == stream
    }

    private func report(_ stream: StreamName?, events: Int?, _ fault: LogFault?) async throws {
        let name = stream.map { JSONString($0.text) }
        var line: String
        if json {
            line = #"{"stream":\#(name.map { "\(JSONText.string($0))" } ?? "null"),"#
            line += #""events":\#(events.map(String.init) ?? "null"),"fault":\#(fault.map(Self.object) ?? "null")}"#
        } else {
            let finding =
                if let fault {
                    "\(fault.law.rawValue) at position \(fault.position): \(fault.details)"
                } else {
                    events.map { "ok, \($0) events" } ?? "no such stream"
                }
            let place = name?.encoded ?? fault?.streamID.map { "stream_id \($0)" } ?? ""
            line = "\(finding)  \(place)".printable
        }
        try await Output.standard.write(Array(line.utf8) + [UInt8(ascii: "\n")])
    }

    private static func object(_ fault: LogFault) -> String {
        #"{"law":"\#(fault.law.rawValue)","position":\#(fault.position),"#
            + (fault.streamID.map { #""streamID":\#($0),"# } ?? "")
            + #""details":\#(JSONText.string(JSONString(fault.details)))}"#
    }
}
