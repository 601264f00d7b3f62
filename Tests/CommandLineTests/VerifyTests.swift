import Testing

@Suite("verify", .timeLimit(.minutes(10)))
struct VerifyTests {
    @Test("streams that are well: 0, and a line for each")
    func well() async throws {
        try await ToolDatabase.with { tool in
            let input = (0..<250).map { Sample.event($0) }.joined(separator: "\n")
            for stream in ["a", "b\n"] { #expect(try await tool.run("append", stream, input: input).status == 0) }
            let one = try await tool.run("verify", "a")
            #expect(one.status == 0)
            #expect(one.text == "ok, 250 events  a\n")
            let all = try await tool.run("verify", "--all", "--json")
            #expect(all.status == 0)
            #expect(
                all.lines == [
                    #"{"stream":"a","events":250,"fault":null}"#, #"{"stream":"b\n","events":250,"fault":null}"#,
                ]
            )
            // What is reserved is no event.
            for stream in ["a", "claimed"] { #expect(try await tool.run("claim", stream).status == 0) }
            #expect(try await tool.run("verify", "a").text == "ok, 250 events  a\n")
            #expect(try await tool.run("verify", "claimed").text == "ok, 0 events  claimed\n")
        }
    }

    @Test(
        "a log that was tampered with: 65, with the law and the place",
        arguments: [
            ("delete from durable_streams.events where position = 3", "density", "position 4: it comes where 3 is due"),
            (
                "update durable_streams.events set token = (select token from durable_streams.events where position = 0) "
                    + "where position = 9",
                "token", "position 9"
            ),
            (
                "update durable_streams.events set event = '{\"type\":\"close\"}' where position = 4", "json",
                "position 4"
            ),
            ("update durable_streams.events set kind = 'c' where position = 5", "columns", "position 5"),
            ("update durable_streams.events set coroutine_id = 'x' where position = 6", "columns", "position 6"),
            ("delete from durable_streams.streams", "owner at position 0", "no stream they belong to"),
            (
                "insert into durable_streams.events select stream_id, 10, now(), gen_random_uuid(), 'c', coroutine_id, "
                    + "('{\"type\":\"close\",\"coroutineId\":' || to_json(coroutine_id) || ',\"result\":"
                    + "{\"status\":\"ok\"}}')::json from durable_streams.events where position = 2; "
                    + "insert into durable_streams.events select stream_id, 11, now(), gen_random_uuid(), kind, "
                    + "coroutine_id, event from durable_streams.events where position = 2",
                "order", "position 11"
            ),
            (
                "insert into durable_streams.events select stream_id, 15, now(), gen_random_uuid(), 'r', '', 'null' "
                    + "from durable_streams.events where position = 2",
                "reservation", "position 15: a claim's reservation stands here, and 10 is next"
            ),
            (
                "insert into durable_streams.events select stream_id, p, now(), gen_random_uuid(), 'r', '', 'null' "
                    + "from durable_streams.events, generate_series(10, 11) p where position = 2",
                "reservation", "position 10: there is something behind"
            ),
            (
                "alter table durable_streams.events drop constraint events_position_is_not_negative; "
                    + "update durable_streams.events set position = -1 where position = 9",
                "density", "position -1: it comes where 0 is due"
            ),
        ]
    )
    func tampered(_ sql: String, _ law: String, _ words: String) async throws {
        try await ToolDatabase.with { tool in
            for n in 0..<10 { #expect(try await tool.run("append", "s", input: Sample.event(n)).status == 0) }
            // Whoever may do this owns the table; the guards are to be turned off first.
            try await ToolDatabase.psql("set session_replication_role = replica; \(sql)", on: tool)
            let outcome = try await tool.run("verify", "--all")
            #expect(outcome.status == 65, "\(outcome.text)")
            #expect(outcome.messages.contains(words), "\(outcome.messages)")
            #expect(outcome.lines.contains { $0.hasPrefix(law) }, "\(outcome.text)")
        }
    }

    @Test("a stream that is not there is none that is well: 65, and the others are verified")
    func misspelt() async throws {
        try await ToolDatabase.with { tool in
            // The longer name is no reason to take the shorter for there.
            for stream in ["a", "a/1"] {
                #expect(try await tool.run("append", stream, input: Sample.event(0)).status == 0)
            }
            let outcome = try await tool.run("verify", "a/", "a")
            #expect(outcome.status == 65)
            #expect(outcome.messages.contains("there is no stream a/"), "\(outcome.messages)")
            #expect(outcome.lines == ["no such stream  a/", "ok, 1 events  a"])
            let object = try await tool.run("verify", "a/", "--json")
            #expect(object.status == 65)
            #expect(object.lines == [#"{"stream":"a/","events":null,"fault":null}"#])
        }
    }

    @Test("events of no stream are told by the number that stands for it, and no stream is made up")
    func strays() async throws {
        try await ToolDatabase.with { tool in
            #expect(try await tool.run("append", "s", input: Sample.event(0)).status == 0)
            let id = try await ToolDatabase.psql("select id from durable_streams.streams", on: tool)
            try await ToolDatabase.psql(
                "set session_replication_role = replica; delete from durable_streams.streams",
                on: tool
            )
            let outcome = try await tool.run("verify", "--all", "--json")
            #expect(outcome.status == 65)
            #expect(outcome.messages.contains("stream_id \(id), position 0: there are events"), "\(outcome.messages)")
            let line = outcome.lines.first ?? ""
            #expect(outcome.lines.count == 1)
            #expect(
                line.hasPrefix(
                    #"{"stream":null,"events":null,"fault":{"law":"owner","position":0,"streamID":\#(id),"details":"#
                ),
                "\(line)"
            )
        }
    }

    @Test("a stream's name is not obeyed by the terminal its fault is shown on")
    func hostileName() async throws {
        try await ToolDatabase.with { tool in
            let name = "a\u{1b}[31m\u{9b}1m\nb"
            try await #require(tool.run("append", name, input: Sample.event(0)).status == 0)
            try await ToolDatabase.psql(
                "set session_replication_role = replica; update durable_streams.events set position = 4",
                on: tool
            )
            let outcome = try await tool.run("verify", "--all")
            #expect(outcome.status == 65)
            #expect(outcome.messages.contains("stream a\\u{1b}[31m\\u{9b}1m b, position 4"), "\(outcome.messages)")
            let listed = try await tool.run("list")
            for text in [outcome.messages, outcome.text, listed.text] {
                #expect(!text.contains("\u{1b}"))
                #expect(!text.contains("\u{9b}"))
            }
        }
    }

    @Test("neither a name nor --all, and both, are usage errors")
    func usage() async throws {
        #expect(try await Tool().run("verify").status == 64)
        #expect(try await Tool().run("verify", "a", "--all").status == 64)
    }
}
