import Foundation
import Synchronization
import Testing

@Suite("tail", .timeLimit(.minutes(10)))
struct TailTests {
    /// `{"stream":…,"position":N,"recordedAt":…,"event":…}`, taken apart.
    struct Line: Equatable {
        let stream: String
        let position: Int
        let event: String

        init(_ text: String) throws {
            let pattern = /\{"stream":"([^"]*)","position":(\d+),"recordedAt":"[-0-9T:.]+Z","event":(.*)\}/
            let match = try #require(text.wholeMatch(of: pattern.dotMatchesNewlines()), "\(text)")
            stream = String(match.1)
            position = try #require(Int(match.2))
            event = String(match.3)
        }
    }

    @Test("started before, during and after an append, it prints each event once and in order, and ends with the close")
    func beforeDuringAfter() async throws {
        try await ToolDatabase.with { tool in
            let events = Array(AwkwardEvents(count: 6000, seed: 2))
            let before = try await tool.start("tail", "s", "--until-close")
            let append = try await tool.start("append", "s")
            for event in events[..<3000] { append.write(line: event) }
            var answers = append.lines.makeAsyncIterator()
            for _ in 0..<1000 { _ = await answers.next() }
            let during = try await tool.start("tail", "s", "--until-close")
            for event in events[3000...] { append.write(line: event) }
            append.closeInput()
            #expect(await append.outcome.status == 0)
            let after = try await tool.start("tail", "s", "--until-close", "--from", "start")
            for tail in [before, during, after] {
                let outcome = await tail.outcome
                #expect(outcome.status == 0, "\(outcome.messages)")
                let lines = try outcome.lines.map(Line.init)
                #expect(lines.map(\.position) == Array(0..<6000))
                #expect(lines.map(\.event) == events.map { $0.replacing("\r", with: " ") })
            }
        }
    }

    @Test(
        "begun behind the root's close, it prints what is there, if anything, and ends",
        arguments: [("0", 0..<2), ("2", 2..<4), ("3", 3..<4), ("4", 4..<4), ("100", 4..<4), ("end", 4..<4)]
    )
    func behindTheClose(start: String, expected: Range<Int>) async throws {
        try await ToolDatabase.with { tool in
            let events = [Sample.event(0), Sample.close("root"), Sample.event(2), Sample.close("root.1")]
            try await #require(tool.run("append", "s", input: events.joined(separator: "\n")).status == 0)
            let outcome = try await tool.run("tail", "s", "--until-close", "--from", start)
            #expect(outcome.status == 0)
            #expect(try outcome.lines.map(Line.init).map(\.position) == Array(expected))
        }
    }

    @Test("prints an event while its writer goes on, one line for each")
    func live() async throws {
        try await ToolDatabase.with { tool in
            let tail = try await tool.start("tail", "s")
            let append = try await tool.start("append", "s")
            var lines = tail.lines.makeAsyncIterator()
            for number in 0..<5 {
                append.write(line: Sample.event(number))
                let line = try Line(#require(await lines.next()))
                #expect(line.position == number)
                #expect(line.event == Sample.event(number))
            }
            tail.send(SIGINT)
            #expect(await tail.outcome.status == 130)
            append.closeInput()
            #expect(await append.outcome.status == 0)
        }
    }

    @Test("merges several streams, each in its order, and ends when all have closed; one named twice counts once")
    func several() async throws {
        try await ToolDatabase.with { tool in
            try await #require(
                tool.run("append", "done", input: Sample.events(700) + Sample.close() + "\n" + Sample.close("root.0"))
                    .status == 0
            )
            let tail = try await tool.start("tail", "done", "coming", "done", "--until-close")
            var lines = tail.lines.makeAsyncIterator()
            var seen: [Line] = []
            while seen.count < 701 { seen.append(try Line(#require(await lines.next()))) }
            #expect(seen.allSatisfy { $0.stream == "done" })
            #expect(seen.map(\.position) == Array(0..<701))
            let late = Sample.events(3) + Sample.close("root.0") + "\n" + Sample.close(status: "cancelled")
            try await #require(tool.run("append", "coming", input: late).status == 0)
            seen = []
            while let text = await lines.next() { seen.append(try Line(text)) }
            #expect(seen.filter { $0.stream == "coming" }.map(\.position) == Array(0..<5))
            #expect(await tail.outcome.status == 0)
        }
    }

    @Test("--from takes a position or end")
    func from() async throws {
        try await ToolDatabase.with { tool in
            try await #require(tool.run("append", "s", input: Sample.events(10)).status == 0)
            let tail = try await tool.start("tail", "s", "--from", "8")
            var lines = tail.lines.makeAsyncIterator()
            #expect(try Line(#require(await lines.next())).position == 8)
            #expect(try Line(#require(await lines.next())).position == 9)
            tail.send(SIGTERM)
            #expect(await tail.outcome.status == 130)

            let future = try await tool.start("tail", "s", "--from", "12", "--until-close")
            let end = try await tool.start("tail", "s", "--from", "end", "--until-close")
            let append = try await tool.start("append", "s")
            var answers = append.lines.makeAsyncIterator()
            // When it has asked where the end is cannot be seen from outside: append until it prints something.
            let hasPrinted = Mutex(false)
            let news = Task {
                let line = await end.lines.first { _ in true }
                hasPrinted.withLock { $0 = true }
                return line
            }
            var count = 10
            while count < 13 || !hasPrinted.withLock({ $0 }) {
                append.write(line: Sample.event(count))
                #expect(await answers.next() == "{\"position\":\(count)}")
                count += 1
            }
            append.write(line: Sample.close())
            append.closeInput()
            #expect(try Line(#require(await news.value)).position >= 10)
            #expect(await end.outcome.status == 0)
            let positions = try await future.outcome.lines.map { try Line($0).position }
            #expect(positions == Array(12...count))
        }
    }

    @Test("that notifications do not come is said once")
    func deaf() async throws {
        try await ToolDatabase.with { tool in
            let grants = """
                grant usage on schema durable_streams to ROLE; grant select on all tables in schema durable_streams to ROLE;
                grant execute on all functions in schema durable_streams to ROLE;
                revoke execute on function pg_notify(text, text) from public
                """
            try await ToolDatabase.withPlainRole(on: tool, granted: grants) { plain in
                let tail = try await plain.start("tail", "s")
                var messages = tail.messages.makeAsyncIterator()
                while let message = await messages.next(), !message.contains("tail: polling") {}
                try await #require(tool.run("append", "s", input: Sample.event(0)).status == 0)
                var lines = tail.lines.makeAsyncIterator()
                #expect(await lines.next() != nil)
                tail.send(SIGINT)
                let outcome = await tail.outcome
                #expect(outcome.status == 130)
                #expect(outcome.messages.components(separatedBy: "the role may not").count == 2, "\(outcome.messages)")
                #expect(outcome.messages.split(separator: "\n").count == 1, "\(outcome.messages)")
            }
        }
    }

    @Test("an idle tail whose reader goes away ends, without a word")
    func readerGone() async throws {
        try await ToolDatabase.with { tool in
            let outcome = try await tool.start(["tail", "s"], reader: .gone).outcome
            #expect(outcome.status == 0)
            #expect(outcome.messages.isEmpty, "\(outcome.messages)")
        }
    }
}
