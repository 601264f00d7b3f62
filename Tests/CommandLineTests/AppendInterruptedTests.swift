import Foundation
import Testing

@Suite("append, interrupted", .timeLimit(.minutes(10)))
struct AppendInterruptedTests {
    @Test(
        "interrupted while it waits for input, it exits 130, and what was answered is there",
        arguments: [SIGINT, SIGTERM]
    )
    func interrupted(signal: Int32) async throws {
        try await ToolDatabase.with { tool in
            let process = try await tool.start("append", "s")
            var answers = process.lines.makeAsyncIterator()
            process.write(line: Sample.event(0))
            #expect(await answers.next() == #"{"position":0}"#)
            process.send(signal)
            let outcome = await process.outcome
            #expect(outcome.status == 130)
            #expect(outcome.errors.isEmpty, "\(outcome.errors)")
            #expect(try await tool.run("read", "s").text == Sample.events(1))
        }
    }

    @Test("ended while a commit is under way, it says of which lines it is not known whether they were written")
    func endedDuringCommit() async throws {
        try await ToolDatabase.withHeldStream { tool, isWaiting, _ in
            // It must still be waiting when that is looked at.
            let process = try await tool.start("append", "s", "--deadline", "3600", "--connect-timeout", "28")
            process.write(line: Sample.event(0))
            process.write(line: Sample.event(1))
            try await isWaiting()
            for signal in [SIGINT, SIGTERM] { process.send(signal) }
            let outcome = await process.outcome
            #expect(outcome.status == 130)
            #expect(outcome.messages.contains("line 1: whether") || outcome.messages.contains("lines 1 to 2: whether"))
            #expect(outcome.messages.contains("written is not known"))
        }
    }

    @Test("interrupted once while an append is under way, it waits for that, answers it and exits 130")
    func interruptedDuringCommit() async throws {
        var outcome: Tool.Outcome
        // Again where the machine stood still for as long as the tool waits.
        repeat {
            outcome = try await ToolDatabase.withHeldStream { tool, isWaiting, letGo in
                let process = try await tool.start("append", "s")
                process.write(line: Sample.event(0))
                try await isWaiting()
                process.send(SIGINT)
                try await letGo()
                return await process.outcome
            }
        } while outcome.errors == Self.unknown
        #expect(outcome.status == 130)
        #expect(outcome.text == Sample.positions(0..<1))
        #expect(outcome.errors.isEmpty, "\(outcome.errors)")
    }

    @Test("interrupted once while an append is under way that takes over 5 seconds, it ends by itself and says so")
    func endedByItself() async throws {
        try await ToolDatabase.withHeldStream { tool, isWaiting, _ in
            let process = try await tool.start("append", "s", "--deadline", "3600")
            process.write(line: Sample.event(0))
            try await isWaiting()
            let begin = ContinuousClock.now
            process.send(SIGINT)
            let outcome = await process.outcome
            #expect(outcome.status == 130)
            #expect(outcome.errors == Self.unknown)
            #expect(ContinuousClock.now - begin >= .seconds(5))
        }
    }

    private static let unknown: [Substring] = ["durable-streams: line 1: whether that was written is not known"]

    @Test("what became of lines is said at once when it is known, and once, whatever is yet to be done")
    func endedAfterFailure() async throws {
        try await ToolDatabase.with { tool in
            let process = try await tool.start(["append", "s"], reader: .asleep)
            try await fillPipe(of: process, on: tool)
            try await #require(tool.run("claim", "s").status == 0)
            process.write(line: Sample.event(0))
            let message = await process.messages.first { !$0.contains(": warning: ") }
            #expect(message?.hasPrefix("durable-streams: line \(Self.enough + 1): ") == true, "\(message ?? "")")
            // It cannot end, since its answers cannot be written.
            for signal in [SIGINT, SIGTERM] { process.send(signal) }
            #expect(await process.status == 130)
            process.wakeReader()
            let messages = await process.outcome.messages
            #expect(messages.components(separatedBy: "line \(Self.enough + 1)").count == 2, "\(messages)")
            #expect(messages.contains("to \(Self.enough) are appended"), "\(messages)")
        }
    }

    @Test("ended while its reader is slow, it says which events are durable without an answer, and cuts no answer")
    func endedWhileReaderSleeps() async throws {
        try await ToolDatabase.with { tool in
            let count = Self.enough
            let process = try await tool.start(["append", "s"], reader: .asleep)
            try await fillPipe(of: process, on: tool)
            for signal in [SIGINT, SIGTERM] { process.send(signal) }
            #expect(await process.status == 130)
            process.wakeReader()
            let outcome = await process.outcome
            let answered = outcome.lines.count
            #expect(answered < count)
            #expect(outcome.text == Sample.positions(0..<answered))
            // What it has just written, it may not know of yet; and the last batch may not be answered by the server.
            let unanswered = /lines (\d+) to (\d+) are appended \(positions (\d+) to (\d+)\); their answers could.*/
            let unknown = /lines? (\d+)(?: to \d+)?: whether that was written is not known/
            let words = outcome.errors.map { $0.dropFirst("durable-streams: ".count) }
            let numbers = try #require(words.first?.wholeMatch(of: unanswered), "\(outcome.messages)").output
            let first = try #require(Int(numbers.1))
            let last = try #require(Int(numbers.2))
            #expect(first <= answered + 1)
            #expect(Int(numbers.3) == first - 1 && Int(numbers.4) == last - 1)
            if last < count {
                #expect(words.count == 2 && Int(words[1].wholeMatch(of: unknown)?.output.1 ?? "") == last + 1)
            }
        }
    }

    /// The answers to so many events are more than a pipe holds.
    private static let enough = 20_000

    /// Has it append so many, and waits until they are durable.
    private func fillPipe(of process: ToolProcess, on tool: Tool) async throws {
        process.write(Array(Sample.events(Self.enough).utf8))
        let count = "select count(*) from durable_streams.events"
        while try await ToolDatabase.psql(count, on: tool) != "\(Self.enough)" { try Task.checkCancellation() }
    }
}
