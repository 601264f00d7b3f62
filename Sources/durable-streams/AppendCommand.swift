import ArgumentParser
import Foundation
import PostgresStreams
import TisynStreams

/// `append`: events from stdin into a stream, an answer for each once it is durable.
struct AppendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "append",
        abstract: "Append events from stdin to a stream.",
        discussion: """
            Reads NDJSON, an event a line. For each event, once it is durable, a line {"position":N} goes to stdout at \
            once: a program can write one event, wait for its line, and only then go on. What is there already, a file for \
            instance, is appended in batches, each of them whole or not at all.

              echo '{"type":"close","coroutineId":"root","result":{"status":"ok"}}' |
                durable-streams append orders/17

            The other kind of event is

            {"type":"yield","coroutineId":"root","description":{"type":"a","name":"b"},"result":{"status":"ok"}}

              durable-streams append orders/17 < events.ndjson
              durable-streams append orders/17 --expect 0 < events.ndjson
              durable-streams append orders/17 --claim < events.ndjson

            A bad line (no JSON, no event, invalid UTF-8, empty, over 64 MiB) ends it with 65: the events before it are \
            durable and answered, nothing after it is written.

            With --expect the first event must land at that position and the others right behind it, or it ends with 75 \
            and nothing of the batch written. So it does when another writer has claimed the stream; --claim makes this \
            process the only writer before it begins.

            A lost connection is made again for --deadline seconds, and each event is then there exactly once. After that \
            it exits 69 and says whether the events that were under way are written, or that it is not known.

            Where its answers cannot be written, as when their reader is gone, it appends no more and exits 74.

            Interrupted, it reads no further, answers what is under way, and exits 130; where that takes more than 5 seconds, \
            or at a second signal, it says of which lines it is not known whether they were written, and which are appended \
            though their answers could not be written.
            """
    )

    @OptionGroup var connection: ConnectionOptions

    @Argument(
        help: ArgumentHelp("The stream's name, 1 to 512 bytes.", valueName: "stream"),
        transform: StreamArgument.name
    )
    var stream: StreamName

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The position the first event must land at.", valueName: "n"),
        transform: StreamArgument.position
    )
    var expect: Int?

    @Flag(help: "First claim the stream: from then on only this process can append to it. Says the claim on stderr.")
    var claim = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How long an append, or the claim, is tried over lost connections.", valueName: "seconds")
    )
    var deadline = 30.0

    func validate() throws {
        guard deadline > 0, deadline <= 86_400 else {
            throw ValidationError("--deadline takes more than 0 and at most 86400 seconds")
        }
    }

    func run() async throws {
        // Closed, or opened for writing only. Before a server is asked, or a claim made.
        guard fcntl(STDIN_FILENO, F_GETFL) & O_ACCMODE != O_WRONLY else {
            throw ToolError(.badInput, "stdin is closed: there is nothing to read events from")
        }
        var configuration = connection.configuration
        configuration.appendDeadline = .seconds(deadline)
        // The claim's.
        configuration.readDeadline = .seconds(deadline)
        try await withJournal(configuration) { journal in
            try journal.refuseReadOnly()
            var target = journal.stream(stream)
            if claim {
                let claim = try await target.claim()
                StandardError.say("claimed \(stream): epoch \(claim.epoch), next position \(claim.position)")
                target = claim.stream
            }
            try await copyEvents(to: target)
        }
    }

    private func copyEvents(to target: PostgresStream) async throws {
        let due = AnswersDue(.standard)
        Output.standard.keepLinesWhole()
        try await Interruption.saying {
            due.words
        } during: {
            do {
                try await copyEvents(to: target, due)
                try await Output.standard.finish()
            } catch let error as LineError {
                let loss = await Self.loss(due)
                let words = "\(error). The lines before it are appended, nothing after them is"
                throw loss.map { ToolError(.outputFailed, "\($0); \(words)") } ?? ToolError(.badInput, words)
            } catch let error as OutputError {
                throw ToolError(.outputFailed, "\(Self.loss(error, due)); no more is appended")
            } catch {
                if let loss = await Self.loss(due) { StandardError.say(loss) }
                throw error
            }
        }
    }

    /// Writes out the answers that were handed over; what there is to say of those that cannot be written.
    private static func loss(_ due: AnswersDue) async -> String? {
        do {
            try await Output.standard.finish()
            return nil
        } catch {
            return loss(error, due)
        }
    }

    private static func loss(_ error: any Error, _ due: AnswersDue) -> String {
        due.unwritten.map { "\(error); \($0)" } ?? "\(error)"
    }

    private func copyEvents(to target: PostgresStream, _ due: AnswersDue) async throws {
        let limits = LineReader<NumberedEvent>.Limits(lineBytes: PostgresStream.maximumEventByteCount)
        let lines = LineReader(0, limits: limits) { line, number in try NumberedEvent(line, number: number) }
        var expected = expect
        while let batch = try await lines.next() {
            guard let first = batch.first, let last = batch.last else { continue }
            // Or it would be known only with the next answer.
            try Output.standard.check()
            due.begin(first.number...last.number)
            do {
                let positions = try await Self.append(batch.map(\.event), to: target, expecting: expected)
                if expect != nil { expected = positions.upperBound }
                try await Output.standard.write(due.appended(at: positions))
            } catch let error as JournalError {
                let place = AnswersDue.place(first.number...last.number)
                due.failed("\(place): \(error)\(Self.hint(error))")
                throw ToolError(ExitStatus(error), "")
            }
        }
    }

    /// Not given up when the task is cancelled: its answers are to be written first.
    private static func append(
        _ events: [DurableEvent],
        to target: PostgresStream,
        expecting expected: Int?
    ) async throws -> Range<Int> {
        try await Task { try await target.append(contentsOf: events, expecting: expected) }.value
    }

    private static func hint(_ error: JournalError) -> String {
        guard error.code == .fenced else { return "" }
        return error.epoch == nil
            ? " (append --claim does)" : " (append --claim does, and takes it from whoever claimed it since)"
    }
}

/// An event and the line of the input it was.
private struct NumberedEvent: Sendable {
    let number: Int
    let event: DurableEvent

    init(_ line: UnsafeBufferPointer<UInt8>, number: Int) throws {
        // A carriage return alone ends an empty line of a file with both.
        guard !line.isEmpty, !(line.count == 1 && line[0] == UInt8(ascii: "\r")) else {
            throw LineError(number: number, reason: "it is empty; every line is an event")
        }
        do {
            event = try DurableEvent(utf8: line)
        } catch {
            throw LineError(number: number, reason: error.description)
        }
        self.number = number
    }
}

extension Journal {
    /// A standby takes no appends and never will while it is one, and so it is where transactions are read-only: said at once
    /// rather than after the deadline.
    func refuseReadOnly() throws {
        guard server.isReadOnly, !hasOtherHosts else { return }
        throw ToolError(
            .unavailable,
            server.isStandby
                ? "\(server.place) is a standby and takes no appends: name the primary, or several hosts with "
                    + "target_session_attrs=read-write"
                : "\(server.place) is read-only and takes no appends: default_transaction_read_only is on, for the server, "
                    + "the database or the role"
        )
    }
}
