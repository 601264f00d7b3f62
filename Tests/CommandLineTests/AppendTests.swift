import Foundation
import Testing

@Suite("append", .timeLimit(.minutes(10)))
struct AppendTests {
    /// More of them, a hundred thousand for instance, take a while in a debug build.
    private static let eventCount =
        ProcessInfo.processInfo.environment["DURABLE_STREAMS_TEST_EVENTS"].flatMap { Int($0) } ?? 10_000

    @Test("answers each line before it needs the next")
    func coupled() async throws {
        try await ToolDatabase.with { tool in
            let process = try await tool.start("append", "s")
            var answers = process.lines.makeAsyncIterator()
            for number in 0..<20 {
                process.write(line: Sample.event(number))
                #expect(await answers.next() == "{\"position\":\(number)}")
                // Durable by then: another process sees it.
                if number % 7 == 0 {
                    #expect(try await tool.run("read", "s", "--from", "\(number)").text == Sample.event(number) + "\n")
                }
            }
            process.closeInput()
            let outcome = await process.outcome
            #expect(outcome.status == 0)
            // A machine that stands still for a moment has no time to notify.
            let notes = ["warning", "notice"].map { "durable-streams: \($0): NOTIFY" }
            let messages = outcome.messages.split(separator: "\n")
            let others = messages.filter { line in !notes.contains { line.hasPrefix($0) } }
            #expect(others.isEmpty, "\(outcome.messages)")
        }
    }

    @Test("awkward events come back byte for byte, each answered once and in order")
    func awkward() async throws {
        try await ToolDatabase.with { tool in
            let input = Array(AwkwardEvents(count: Self.eventCount).map { $0 + "\n" }.joined().utf8)
            let append = try await tool.run(["append", "s"], input: input)
            #expect(append.status == 0, "\(append.messages)")
            #expect(append.text == Sample.positions(0..<Self.eventCount))
            let read = try await tool.run("read", "s")
            #expect(read.status == 0, "\(read.messages)")
            // Not inside of the expectation, which would print both.
            let isSame = read.output == input
            #expect(isSame)
        }
    }

    @Test(
        "a bad line ends it with 65, its number and the reason; what is before it stays, nothing after it is written",
        arguments: [
            (#"{"type":"yield"}"#, "not an event"), ("oops", "invalid JSON at byte 0"), ("", "empty"),
            (#"{"type":"close","coroutineId":"root","result":{"status":"ok"}} {}"#, "invalid JSON"),
            (" ", "invalid JSON"),
        ]
    )
    func badLine(line: String, reason: String) async throws {
        try await ToolDatabase.with { tool in
            let input = Sample.events(1500) + line + "\n" + Sample.events(10)
            let append = try await tool.run("append", "s", input: input)
            #expect(append.status == 65)
            #expect(append.messages.contains("line 1501: "), "\(append.messages)")
            #expect(append.messages.contains(reason), "\(append.messages)")
            #expect(append.text == Sample.positions(0..<1500))
            #expect(try await tool.run("read", "s").text == Sample.events(1500))
        }
    }

    @Test("invalid UTF-8 is bad input")
    func invalidUTF8() async throws {
        try await ToolDatabase.with { tool in
            var line = Array(Sample.event(1).utf8)
            let name = try #require(line.firstIndex(of: UInt8(ascii: "n")))
            line.insert(contentsOf: [0xED, 0xA0, 0x80], at: name)
            let append = try await tool.run(["append", "s"], input: Array(Sample.events(1).utf8) + line)
            #expect(append.status == 65)
            #expect(append.messages.contains("line 2: "))
            #expect(append.messages.contains("UTF-8"))
            #expect(append.text == Sample.positions(0..<1))
        }
    }

    @Test("a line may have 64 MiB and no byte more; the last line needs no line feed")
    func longLines() async throws {
        try await ToolDatabase.with { tool in
            let frame = Sample.event(0).utf8.count
            let longest = String(Sample.event(0).dropLast()) + String(repeating: " ", count: (64 << 20) - frame) + "}"
            #expect(longest.utf8.count == 64 << 20)
            let append = try await tool.run("append", "s", input: longest)
            #expect(append.status == 0, "\(append.messages)")
            #expect(append.text == Sample.positions(0..<1))
            #expect(try await tool.run("read", "s").output == Array(longest.utf8) + [UInt8(ascii: "\n")])
            let tooLong = try await tool.run("append", "s", input: Sample.event(1) + "\n " + longest)
            #expect(tooLong.status == 65)
            #expect(tooLong.messages.contains("line 2: "), "\(tooLong.messages)")
            #expect(tooLong.messages.contains("67108864"), "\(tooLong.messages)")
            #expect(tooLong.text == Sample.positions(1..<2))
        }
    }

    @Test("no input is no error")
    func nothing() async throws {
        try await ToolDatabase.with { tool in
            let append = try await tool.run("append", "s")
            #expect(append.status == 0)
            #expect(append.output.isEmpty)
        }
    }

    @Test("--expect: lands there and goes on from there, or exits 75 with both positions and nothing written")
    func expect() async throws {
        try await ToolDatabase.with { tool in
            let first = try await tool.run("append", "s", "--expect", "0", input: Sample.events(2500))
            #expect(first.status == 0, "\(first.messages)")
            #expect(first.text == Sample.positions(0..<2500))
            let late = try await tool.run("append", "s", "--expect", "0", input: Sample.events(3))
            #expect(late.status == 75)
            #expect(late.output.isEmpty)
            #expect(late.messages.contains("2500") && late.messages.contains("nothing was written"), "\(late.messages)")
            let early = try await tool.run("append", "s", "--expect", "2501", input: Sample.events(3))
            #expect(early.status == 75)
            let next = try await tool.run("append", "s", "--expect", "2500", input: Sample.events(1))
            #expect(next.text == Sample.positions(2500..<2501))
        }
    }

    @Test("--expect holds for the lines that follow too")
    func expectHolds() async throws {
        try await ToolDatabase.with { tool in
            let first = try await tool.start("append", "s", "--expect", "0")
            var answers = first.lines.makeAsyncIterator()
            first.write(line: Sample.event(0))
            #expect(await answers.next() == #"{"position":0}"#)
            #expect(try await tool.run("append", "s", input: Sample.event(1)).status == 0)
            first.write(line: Sample.event(2))
            let outcome = await first.outcome
            #expect(outcome.status == 75)
            #expect(outcome.text == Sample.positions(0..<1))
        }
    }

    @Test("what a constraint of the operator's refuses is bad input")
    func operatorsConstraint() async throws {
        try await ToolDatabase.with { tool in
            let small = "add constraint small check (octet_length(event::text) < 1000)"
            try await ToolDatabase.psql("alter table durable_streams.events \(small)", on: tool)
            let large = String(Sample.event(0).dropLast()) + String(repeating: " ", count: 2000) + "}"
            let outcome = try await tool.run("append", "s", input: large)
            #expect(outcome.status == 65, "\(outcome.messages)")
        }
    }

    @Test("--claim fences whoever wrote before; a claimed stream takes no unclaimed append")
    func claims() async throws {
        try await ToolDatabase.with { tool in
            let first = try await tool.start("append", "s", "--claim")
            var answers = first.lines.makeAsyncIterator()
            first.write(line: Sample.event(0))
            #expect(await answers.next() == #"{"position":0}"#)
            let unclaimed = try await tool.run("append", "s", input: Sample.event(1))
            #expect(unclaimed.status == 75)
            #expect(unclaimed.messages.contains("--claim"), "\(unclaimed.messages)")
            let claim = try await tool.run("claim", "s")
            #expect(claim.text == "{\"epoch\":2,\"position\":1}\n")
            first.write(line: Sample.event(1))
            let fenced = await first.outcome
            #expect(fenced.status == 75)
            #expect(fenced.text == Sample.positions(0..<1))
            #expect(fenced.messages.contains("epoch 1") && fenced.messages.contains("epoch 2"), "\(fenced.messages)")
            let second = try await tool.run("append", "s", "--claim", input: Sample.event(1))
            #expect(second.text == Sample.positions(1..<2))
            #expect(second.messages.contains("epoch 3, next position 1"), "\(second.messages)")
        }
    }

    @Test("--deadline bounds the claim too")
    func claimDeadline() async throws {
        try await ToolDatabase.withHeldStream { tool, _, _ in
            // Its default is 30 seconds. Where the machine stands still for as long, it is tried again.
            var isBounded = false
            for _ in 0..<3 where !isBounded {
                let start = ContinuousClock.now
                let append = try await tool.run("append", "s", "--claim", "--deadline", "1", input: Sample.event(0))
                #expect(append.status == 69, "\(append.messages)")
                isBounded = ContinuousClock.now - start < .seconds(20)
            }
            #expect(isBounded)
        }
    }

    @Test("where transactions are read-only, appends and claims are refused at once, with the reason")
    func readOnly() async throws {
        try await ToolDatabase.with { tool in
            let database = try await ToolDatabase.psql("select current_database()", on: tool)
            try await ToolDatabase.psql(
                "alter database \(database) set default_transaction_read_only = on",
                on: tool
            )
            for arguments in [["append", "s"], ["append", "s", "--claim"], ["claim", "s"]] {
                let outcome = try await tool.run(arguments, input: Sample.event(0).utf8)
                #expect(outcome.status == 69)
                #expect(outcome.messages.contains("default_transaction_read_only is on"), "\(outcome.messages)")
            }
            #expect(try await tool.run("read", "s").status == 0)
        }
    }

    @Test("where nobody reads its answers it exits 74 and appends nothing")
    func readerGone() async throws {
        try await ToolDatabase.with { tool in
            let process = try await tool.start(["append", "s"], reader: .gone)
            process.write(Array(Sample.events(5000).utf8))
            process.closeInput()
            let outcome = await process.outcome
            #expect(outcome.status == 74)
            #expect(outcome.messages.contains("stdout"), "\(outcome.messages)")
            #expect(try await tool.run("read", "s").output.isEmpty)
        }
    }

    @Test(
        "an answer that cannot be written is told of, whatever ends it",
        arguments: ["", "\(Sample.event(1))\n", "bad\n", "\r\n"]
    )
    func unwritten(rest: String) async throws {
        try await ToolDatabase.with { tool in
            let process = try await tool.start(["append", "s"], reader: .full)
            process.write(line: Sample.event(0))
            while try await tool.run("read", "s").lines.isEmpty {}
            process.write(Array(rest.utf8))
            process.closeInput()
            let outcome = await process.outcome
            #expect(outcome.status == 74, "\(outcome.messages)")
            let words = "line 1 is appended (position 0); its answer could not be written"
            #expect(outcome.messages.contains(words), "\(outcome.messages)")
            #expect(outcome.messages.contains("line 2: ") == ["bad\n", "\r\n"].contains(rest), "\(outcome.messages)")
            #expect(try await tool.run("read", "s").lines.count == 1)
        }
    }

    @Test("interrupted, it tells of an answer that could not be written; so does a claim")
    func unwrittenAtTheEnd() async throws {
        try await ToolDatabase.with { tool in
            let process = try await tool.start(["append", "s"], reader: .full)
            process.write(line: Sample.event(0))
            while try await tool.run("read", "s").lines.isEmpty {}
            process.send(SIGTERM)
            let outcome = await process.outcome
            #expect(outcome.status == 130)
            #expect(outcome.messages.contains("its answer could not be written"), "\(outcome.messages)")
            let claim = try await tool.start(["claim", "s"], reader: .full).outcome
            #expect(claim.status == 74)
            #expect(claim.messages.contains(#"s is claimed: {"epoch":1,"position":1}"#), "\(claim.messages)")
        }
    }
}
