import Testing

@Suite("read, replay and list", .timeLimit(.minutes(10)))
struct ReadTests {
    @Test("read takes a start and a limit, and is empty past the end and where there is no stream")
    func ranges() async throws {
        try await ToolDatabase.with { tool in
            try await #require(tool.run("append", "s", input: Sample.events(1300)).status == 0)
            func read(_ arguments: String...) async throws -> String {
                let outcome = try await tool.run(["read", "s"] + arguments)
                #expect(outcome.status == 0, "\(outcome.messages)")
                return outcome.text
            }
            #expect(try await read() == Sample.events(1300))
            #expect(try await read("--from", "1298") == Sample.event(1298) + "\n" + Sample.event(1299) + "\n")
            #expect(try await read("--limit", "1200") == Sample.events(1200))
            #expect(try await read("--from", "7", "--limit", "1") == Sample.event(7) + "\n")
            #expect(try await read("--limit", "0") == "")
            #expect(try await read("--from", "1300") == "")
            let nobody = try await tool.run("read", "nobody")
            #expect(nobody.status == 0 && nobody.output.isEmpty)
        }
    }

    @Test("--positions wraps each event with position and time, and keeps its text")
    func positions() async throws {
        try await ToolDatabase.with { tool in
            // The carriage return is white space to JSON, and the end of a line to many.
            try await #require(tool.run("append", "s", input: Sample.event(0) + "\r\n" + Sample.event(1)).status == 0)
            let lines = try await tool.run("read", "s", "--positions").lines
            try #require(lines.count == 2)
            let pattern =
                /\{"position":(\d+),"recordedAt":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)","event":(.*)\}/
            let first = try #require(lines[0].wholeMatch(of: pattern))
            #expect(first.1 == "0")
            #expect(first.3 == Sample.event(0) + " ")
            let second = try #require(lines[1].wholeMatch(of: pattern))
            #expect(second.1 == "1")
            #expect(second.3 == Sample.event(1))
            #expect(second.2 >= first.2)
            let stored = try await ToolDatabase.psql(
                """
                select to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                from durable_streams.events where position = 1
                """,
                on: tool
            )
            #expect(second.2 == stored)
            #expect(try await tool.run("read", "s").text == Sample.event(0) + "\r\n" + Sample.event(1) + "\n")
        }
    }

    @Test("an event with line feeds between its tokens, from another client, is still one line")
    func lineFeeds() async throws {
        try await ToolDatabase.with { tool in
            try await ToolDatabase.psql(
                """
                select durable_streams.append('s', array[E'{"type":"close",\\n\\r\\n"coroutineId":"root",\\n"result":{"status":"ok"}}'::json])
                """,
                on: tool
            )
            let text = #"{"type":"close",X "coroutineId":"root", "result":{"status":"ok"}}"#
            #expect(try await tool.run("read", "s").text == text.replacing("X", with: " \r") + "\n")
            #expect(
                try await tool.run("read", "s", "--positions").text.hasSuffix(text.replacing("X", with: "  ") + "}\n")
            )
        }
    }

    @Test("read whose reader has gone is done, without a word")
    func readerGone() async throws {
        try await ToolDatabase.with { tool in
            try await #require(tool.run("append", "s", input: Sample.events(1000)).status == 0)
            let process = try await tool.start(["read", "s"], reader: .gone)
            let outcome = await process.outcome
            #expect(outcome.status == 0)
            #expect(outcome.messages.isEmpty)
        }
    }

    @Test("replay shows yields and status of each coroutine, as objects and as a tree")
    func replay() async throws {
        try await ToolDatabase.with { tool in
            let events = [
                Sample.event(0), Sample.event(1, in: "root.10"), Sample.event(2, in: "root.2"),
                Sample.event(3, in: "root.2.0"), Sample.event(4, in: "root.10"),
                Sample.close("root.10", status: "error"),
                Sample.close("root.2.0", status: "cancelled"), Sample.close("r\\u006fot.3"), Sample.event(5),
            ]
            try await #require(tool.run("append", "s", input: events.joined(separator: "\n")).status == 0)
            let json = try await tool.run("replay", "s", "--json")
            #expect(json.status == 0)
            #expect(
                json.lines == [
                    #"{"coroutineId":"root","yields":2,"status":"open"}"#,
                    #"{"coroutineId":"root.10","yields":2,"status":"error"}"#,
                    #"{"coroutineId":"root.2","yields":1,"status":"open"}"#,
                    #"{"coroutineId":"root.2.0","yields":1,"status":"cancelled"}"#,
                    #"{"coroutineId":"root.3","yields":0,"status":"ok"}"#,
                ]
            )
            let tree = try await tool.run("replay", "s")
            #expect(
                tree.lines == [
                    "root          2 yields  open       last: t.n5",
                    "  root.2      1 yield   open       last: t.n2",
                    "    root.2.0  1 yield   cancelled  last: t.n3",
                    "  root.3      0 yields  ok",
                    "  root.10     2 yields  error      last: t.n4",
                ]
            )
            #expect(try await tool.run("replay", "nobody", "--json").output.isEmpty)
        }
    }

    @Test("in replay's tree what is no number stands behind the numbers, each below its parent, and no id is obeyed")
    func tree() async throws {
        try await ToolDatabase.with { tool in
            let ids = ["1a.0", "10.0", "2", "2.0", "10", "1a", "2b", "2b.x.y", "\\u001b[31m", "\u{9b}31m\u{202e}"]
            let events = ids.enumerated().map { Sample.event($0.offset, in: "root.\($0.element)") } + [Sample.event(99)]
            // So deep that looking at each part of it for each other would not end.
            let deep = Sample.event(100, in: "deep" + String(repeating: ".", count: 200_000))
            let input = (events + [deep]).joined(separator: "\n")
            try await #require(tool.run("append", "s", input: input).status == 0)
            let tree = try await tool.run("replay", "s")
            #expect(
                tree.lines.dropFirst().compactMap { $0.firstMatch(of: /^ *[^ ]+/).map { String($0.output) } } == [
                    "root", "  root.2", "    root.2.0", "  root.10", "    root.10.0", "  root.1a", "    root.1a.0",
                    "  root.2b", "    root.2b.x.y", "  root.\\u001b[31m", "  root.\\u{9b}31m\\u{202e}",
                ]
            )
        }
    }

    @Test("in replay's tree ids of the same look and other code units are others, each with children of its own")
    func canonicallyEquivalent() async throws {
        try await ToolDatabase.with { tool in
            let (one, two) = ("\u{E9}", "e\u{301}")
            let ids = ["\(one)", "\(two)", "\(one).0", "\(two).0", "\(two).1", "\(one).1"]
            let events = ids.enumerated().map { Sample.event($0.offset, in: $0.element) }
            try await #require(tool.run("append", "s", input: events.joined(separator: "\n")).status == 0)
            let lines = try await tool.run("replay", "s").lines
            let shown = lines.compactMap { $0.firstMatch(of: /^ *[^ ]+/).map { Array($0.output.unicodeScalars) } }
            let expected = [two, "  \(two).0", "  \(two).1", one, "  \(one).0", "  \(one).1"]
            #expect(shown == expected.map { Array($0.unicodeScalars) })
        }
    }

    @Test("replay says where the event is that is none", arguments: ["y", "c"])
    func nonconforming(kind: String) async throws {
        try await ToolDatabase.with { tool in
            try await #require(tool.run("append", "s/é", input: Sample.events(3)).status == 0)
            try await ToolDatabase.psql(
                """
                select durable_streams.append_batch(array['s/é'], array[null]::bigint[], array[3]::bigint[], array[true],
                    array[gen_random_uuid()], array[1], array[0], array['\(kind)']::"char"[], array['root.0'],
                    array['{"coroutineId":"root.0","secret":1}']::json[])
                """,
                on: tool
            )
            let replay = try await tool.run("replay", "s/é")
            #expect(replay.status == 65)
            #expect(replay.output.isEmpty)
            #expect(replay.messages.contains("stream s/é, position 3: not an event: "))
            #expect(!replay.messages.contains("secret"))
        }
    }

    @Test("of a log with a hole read writes all that comes before, names what is missing, and exits 65")
    func damaged() async throws {
        try await ToolDatabase.with { tool in
            try await #require(tool.run("append", "s", input: Sample.events(10)).status == 0)
            for statement in [
                "alter table durable_streams.events disable trigger all",
                "delete from durable_streams.events where position = 5",
                "alter table durable_streams.events enable trigger all",
            ] { try await ToolDatabase.psql(statement, on: tool) }
            let outcome = try await tool.run("read", "s")
            #expect(outcome.status == 65)
            #expect(outcome.text == Sample.events(5))
            #expect(outcome.messages.contains("5"), "\(outcome.messages)")
        }
    }

    @Test("list pages through many streams, by name, with prefix and status")
    func list() async throws {
        try await ToolDatabase.with { tool in
            // A thousand processes would take long.
            try await ToolDatabase.psql(
                """
                select durable_streams.append('many/' || lpad(n::text, 4, '0'), array['\(Sample.event(0))'::json])
                from generate_series(1, 1203) n
                """,
                on: tool
            )
            let closed = Sample.events(2) + Sample.close(status: "error")
            try await #require(tool.run("append", "odd \"name\"\u{1B}\u{7F}\u{2028}/é", input: closed).status == 0)
            let all = try await tool.run("list", "--json")
            #expect(all.status == 0)
            #expect(all.lines.count == 1204)
            let names = all.lines.compactMap {
                $0.firstMatch(of: /^\{"stream":"(many\/\d+)","events":1,/).map { String($0.1) }
            }
            #expect(names == (1...1203).map { "many/" + String(repeating: "0", count: 4 - "\($0)".count) + "\($0)" })
            let last = try #require(all.lines.last)
            let begin = #"{"stream":"odd \"name\"\u001b"# + "\u{7F}\u{2028}" + #"/é","events":3,"lastActivity":"20"#
            #expect(last.hasPrefix(begin))
            #expect(last.hasSuffix(#"Z","status":"error"}"#))
            #expect(try await tool.run("list", "--prefix", "many/11").lines.count == 100)
            #expect(try await tool.run("list", "--status", "open", "--json").lines.count == 1203)
            let table = try await tool.run("list", "--status", "closed").lines
            #expect(table.count == 1)
            #expect(table.first?.hasSuffix(#"error      odd \"name\"\u001b\u007f\u2028/é"#) == true, "\(table)")
        }
    }
}
