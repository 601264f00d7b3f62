import PostgresStreams
import Testing
import TisynStreams

/// Names, ids and payloads as an attacker or an unlucky user would have them: each is data, whatever it looks like.
@Suite("Hostile input", .serialized, .timeLimit(.minutes(10)))
struct HostileInputTests {
    /// Besides what they are made of, they end with each other's beginnings and are equal to some collations.
    static let names: [String] = [
        "'", "''", "\"", "\"\"", "`", ";", "--", "/* */", "'; drop schema durable_streams cascade; --",
        "$$", "$1", "%", "%s%n", "%I", "_", "\\", "\\'", "\\\\", "\\x00", "\\u0000", "\\ud800", "{", "}", "{a,b}",
        "{\"a\",NULL}", "NULL", "null", "(", ")", "(1,2)", ",", " ", "  ", "\t", "\n", "\r\n", "\u{1}", "\u{1F}",
        "\u{7F}",
        "\u{80}", "\u{A0}", "\u{200B}", "\u{202E}gnp.exe", "\u{2066}a\u{2069}", "\u{FEFF}", "\u{FFFD}", "\u{FFFF}",
        "\u{10FFFF}", "e\u{301}", "é", "ﬁ", "Ａ", "İ", "ß", "SS", "\u{1F469}\u{200D}\u{1F680}",
        String(repeating: "\u{301}", count: 256), String(repeating: "'", count: 512),
        String(repeating: "\\", count: 512),
        String(repeating: "é", count: 256), String(repeating: "😀", count: 128),
        String(repeating: "%", count: 511) + "n",
        "../../etc/passwd", "orders/17", "orders/17/", "ORDERS/17", "a\u{1E}b\u{1D}c\u{1F}d",
    ]

    @Test("a stream's name is data everywhere: appended to, claimed, read, tailed, listed, replayed, verified")
    func streamNames() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for name in Self.names { group.addTask { try await Self.use(name, journal) } }
                    try await group.waitForAll()
                }
                var listed: [String] = []
                for try await summary in journal.streams() { listed.append(summary.name.text) }
                #expect(Set(listed.map { Array($0.utf8) }) == Set(Self.names.map { Array($0.utf8) }))
                #expect(listed.count == Self.names.count)
                // A prefix is one, not a pattern.
                for prefix in ["%", "_", "\\", "'", "é", "orders/"] {
                    var found: [String] = []
                    for try await summary in journal.streams(prefix: prefix) { found.append(summary.name.text) }
                    let expected = Self.names.filter { Array($0.utf8).starts(with: Array(prefix.utf8)) }
                    #expect(Set(found.map { Array($0.utf8) }) == Set(expected.map { Array($0.utf8) }), "\(prefix)")
                }
            }
            try await withSQL(url) { sql in
                let events = try await sql.integer("select count(*) from durable_streams.events")
                #expect(events == 3 * Self.names.count)
                let unclaimed = try await sql.integer("select count(*) from durable_streams.streams where epoch <> 1")
                #expect(unclaimed == 0)
            }
        }
    }

    private static func use(_ name: String, _ journal: Journal) async throws {
        let stream = try journal.stream(name)
        // The name once more, where it can be told from others' events.
        let id = CoroutineID(name)
        async let tailed = stream.tail(untilClose: true).reduce(into: [CoroutineID]()) {
            $0.append($1.event.coroutineID)
        }
        try await stream.append(.close(id, .ok(nil)), expecting: 0)
        let claim = try await stream.claim()
        #expect(claim.position == 1, "\(name)")
        try await claim.stream.append(contentsOf: [.close(id, .cancelled), .close(.root, .ok(nil))])
        #expect(try await stream.readAll().map(\.coroutineID) == [id, id, .root], "\(name)")
        #expect(try await tailed == [id, id, .root], "\(name)")
        let index = stream.replayIndex()
        #expect(try await index.hasClose(id), "\(name)")
        #expect(try await journal.verify(StreamName(name)) == 3, "\(name)")
        let fenced = await thrown { try await stream.append(.close(id, .ok(nil))) }
        #expect(fenced?.code == .fenced, "\(name)")
    }

    @Test("513 bytes, in whatever characters, and a NUL are refused before anything is sent, and not quoted")
    func impossibleNames() async throws {
        try await withTestJournal { journal in
            for name in [
                String(repeating: "'", count: 513), String(repeating: "é", count: 256) + "x",
                String(repeating: "😀", count: 128) + "y", "a\0", "\0", "",
            ] {
                let error = await thrown { try journal.stream(name) }
                #expect(error?.code == .invalidArgument)
                #expect(name.isEmpty || error?.description.contains(name) == false)
            }
            var count = 0
            for try await _ in journal.streams() { count += 1 }
            #expect(count == 0)
        }
    }

    /// Strings that Swift's cannot hold, that PostgreSQL's text cannot hold, and that an index entry cannot hold.
    private static let ids: [CoroutineID] =
        names.filter { !$0.isEmpty }.map { CoroutineID($0) } + [
            "", "\0", "a\0b", JSONString(utf16: [0xD800]), JSONString(utf16: [0xDFFF, 0xD800]),
            JSONString(utf16: [0x61, 0xDC00, 0x62]), JSONString(String(repeating: "root.", count: 20_000)),
            JSONString(String(repeating: "\u{1F4A3}", count: 100_000)),
            JSONString(String(repeating: "\0", count: 10_000)),
            JSONString(utf16: [UInt16](repeating: 0xD83D, count: 5_000)), "root", "root.", ".root", "root.0", "root.00",
            "root.-1", "root.999999999999999999999999",
        ]

    @Test("a coroutine's id is any JSON string: kept, found again by the replay index, and told from all others")
    func coroutineIDs() async throws {
        let ids = Array(Set(Self.ids))
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            let effect = EffectDescription(type: "'; drop table events; --", name: JSONString(utf16: [0xDC00, 0]))
            let yields = ids.indices.map { n in
                DurableEvent.yield(ids[n], effect, .ok(.string(JSONString("\(n)"))))
            }
            try await stream.append(contentsOf: yields)
            for id in ids.prefix(ids.count / 2) { try await stream.append(.close(id, .cancelled)) }
            let index = stream.replayIndex()
            for (n, id) in ids.enumerated() {
                let entry = try await index.peekYield(id)
                #expect(entry?.result == .ok(.string(JSONString("\(n)"))), "id \(n)")
                #expect(entry?.description == effect)
                #expect(try await index.hasClose(id) == (n < ids.count / 2), "id \(n)")
            }
            let read = try await stream.readAll()
            #expect(Array(read.prefix(yields.count)) == yields)
            #expect(try await journal.verify(StreamName("s")) == yields.count + ids.count / 2)
        }
    }

    /// JSON that is legal, and what readers choke on.
    private static let payloads: [String] = [
        "1e400", "-1e-400", "1E+999999999", "-0", "-0.0", String(repeating: "9", count: 100_000),
        "0." + String(repeating: "0", count: 100_000) + "1", "123456789012345678901234567890",
        #""\u0000""#, #""\ud800""#, #""\udfff\ud800""#, #""\\u0000""#, "\"\u{202E}\u{2066}\"",
        "\"\u{7F}\u{85}\u{2028}\"",
        #"{"a":1,"a":2,"\u0061":3,"":4,"type":"close","coroutineId":"other"}"#, #"{"__proto__":{"x":1}}"#,
        "\"'; drop table events; --\"", "\"$$ $1 %s %n {0} \\\\ \\\" \"",
        "\"" + String(repeating: "\\u0000", count: 50_000) + "\"",
        // With the event and its result around it, a thousand levels.
        String(repeating: "[", count: 998) + String(repeating: "]", count: 998),
        String(repeating: #"{"":"#, count: 998) + "1" + String(repeating: "}", count: 998),
        "[" + Array(repeating: "{}", count: 50_000).joined(separator: ",") + "]", " \t\r\n[ ] ",
    ]

    @Test("a payload is any JSON of at most a thousand levels, and comes back byte for byte")
    func payloads() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            var expected: [DurableEvent] = []
            for payload in Self.payloads {
                let text = #"{"type":"close","coroutineId":"root","result":{"status":"ok","value":\#(payload)}}"#
                expected.append(try DurableEvent(text))
            }
            // One by one, and together.
            for event in expected { try await stream.append(event) }
            try await stream.append(contentsOf: expected)
            let read = try await stream.readAll()
            #expect(read == expected + expected)
            #expect(read.map(\.json.utf8) == (expected + expected).map(\.json.utf8))
            #expect(try await journal.verify(StreamName("s")) == 2 * expected.count)
            for event in read { _ = try event.result() }
        }
    }

    @Test("a level more is refused where it is, before anything is sent")
    func tooDeep() {
        let value = String(repeating: "[", count: 1001) + String(repeating: "]", count: 1001)
        let text = #"{"type":"close","coroutineId":"root","result":{"status":"ok","value":\#(value)}}"#
        let error = #expect(throws: EventError.self) { try DurableEvent(text) }
        #expect(error?.description.contains("1002 levels") == true)
    }

    @Test("a close that is none, written by plain SQL, keeps no stream from being listed")
    func unknownClose() async throws {
        try await withTestJournal { journal in
            try await withSQL(journal.configuration.databaseURL) { sql in
                let event = #"{"type":"close","coroutineId":"root","result":{"status":"weird"}}"#
                try await sql.run(
                    """
                    select * from durable_streams.append_batch(array['bad'], array[null]::bigint[], array[0], array[true],
                        array[gen_random_uuid()], array[1], array[0], array['c']::"char"[], array['root'], array['\(event)']::json[])
                    """
                )
            }
            try await journal.stream("good").append(.close("root", .ok(nil)))
            var listed: [String: StreamSummary.Status] = [:]
            for try await summary in journal.streams() { listed[summary.name.text] = summary.status }
            #expect(listed == ["bad": .unknown, "good": .ok])
        }
    }
}
