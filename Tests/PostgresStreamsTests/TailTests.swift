import Foundation
import Testing
import TisynStreams

@testable import PostgresStreams

@Suite("Tailing", .serialized, .timeLimit(.minutes(10)))
struct TailTests {
    private func ids(_ tail: Tail, count: Int) async throws -> [String] {
        var ids: [String] = []
        for try await event in tail {
            ids.append(event.event.coroutineID.encoded)
            if ids.count == count { break }
        }
        return ids
    }

    private func append(_ range: Range<Int>, _ stream: PostgresStream) async throws {
        for n in range { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
    }

    private func appendElsewhere(_ range: Range<Int>, _ stream: PostgresStream) async throws {
        try await stream.elsewhere { try await append(range, $0) }
    }

    private func untilListening(_ journal: Journal) async {
        for await state in journal.listeningStates() where state == .listening { break }
    }

    @Test("a stream that does not exist yet can be tailed, from its start or its end")
    func notThereYet() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("later")
            async let fromStart = ids(stream.tail(), count: 3)
            async let fromPosition = ids(stream.tail(from: .position(2)), count: 1)
            await untilListening(journal)
            try await appendElsewhere(0..<3, stream)
            #expect(try await fromStart == ["0", "1", "2"])
            #expect(try await fromPosition == ["2"])
        }
    }

    @Test("a tail begins at the start, at the end, at a position, or past the end")
    func starts() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await appendElsewhere(0..<10, stream)
            #expect(try await ids(stream.tail(), count: 10) == (0..<10).map(String.init))
            #expect(try await ids(stream.tail(from: .position(7)), count: 3) == ["7", "8", "9"])
            async let pastTheEnd = ids(stream.tail(from: .position(12)), count: 2)
            await untilListening(journal)
            try await appendElsewhere(10..<14, stream)
            #expect(try await pastTheEnd == ["12", "13"])
        }
    }

    @Test("a tail from the end brings what is committed once it has asked where that is")
    func end() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await appendElsewhere(0..<10, stream)
            async let seen = ids(stream.tail(from: .end), count: 3)
            // The journal's only tail: it has asked before it listens.
            await untilListening(journal)
            try await appendElsewhere(10..<13, stream)
            #expect(try await seen == ["10", "11", "12"])
        }
    }

    @Test("an event comes with its stream, its position and the server's time")
    func recorded() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("named")
            let before = Date()
            try await appendElsewhere(0..<1, stream)
            for try await event in stream.tail() {
                #expect(event.stream.text == "named")
                #expect(event.position == 0)
                #expect(abs(event.recordedAt.timeIntervalSince(before)) < 3600)
                break
            }
        }
    }

    @Test("it ends after the root's close, where that was asked for, and not before")
    func untilClose() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(.close("root.0", .ok(nil)))
            try await stream.append(
                .yield("root", EffectDescription(effectID: "a.b", input: JSONText("1")), .cancelled)
            )
            try await stream.append(.close("root", .ok(nil)))
            try await stream.append(.close("root.1", .ok(nil)))
            var positions: [Int] = []
            for try await event in stream.tail(untilClose: true) { positions.append(event.position) }
            #expect(positions == [0, 1, 2])
            #expect(try await ids(stream.tail(), count: 4).last == "root.1")
        }
    }

    @Test("200 tails on 100 streams get each event of theirs once and in order, from another journal's appends")
    func manyTails() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { writing in
                try await withJournal(.quiet(url)) { tailing in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for n in 0..<200 {
                            group.addTask {
                                let stream = try tailing.stream("s\(n % 100)")
                                #expect(try await self.ids(stream.tail(), count: 12) == (0..<12).map(String.init))
                            }
                        }
                        for n in 0..<100 {
                            group.addTask { try await self.append(0..<12, try writing.stream("s\(n)")) }
                        }
                        try await group.waitForAll()
                    }
                }
            }
        }
    }

    @Test("a consumer that does not pull delays nobody, and finds everything when it pulls again")
    func slowConsumer() async throws {
        try await withTestJournal(.with { $0.pageSize = 10 }) { journal in
            let (slow, fast) = (try journal.stream("s"), try journal.stream("t"))
            var iterator = slow.tail().makeAsyncIterator()
            try await appendElsewhere(0..<1, slow)
            #expect(try await iterator.next()?.position == 0)
            for round in 0..<20 {
                async let seen = ids(fast.tail(from: .position(round * 5)), count: 5)
                try await appendElsewhere((1 + round * 10)..<(11 + round * 10), slow)
                try await appendElsewhere((round * 5)..<(5 + round * 5), fast)
                #expect(try await seen == (0..<5).map { "\(round * 5 + $0)" })
            }
            for position in 1...200 {
                let event = try await iterator.next()
                #expect(event?.position == position)
            }
        }
    }

    @Test("catching up over large and small events goes over into following without a seam")
    func catchUp() async throws {
        try await withTestJournal(.with { $0.pageSize = 50 }) { journal in
            let stream = try journal.stream("s")
            let padding = try JSONText("\"" + String(repeating: "x", count: 100_000) + "\"")
            func event(_ n: Int) -> DurableEvent {
                .close(CoroutineID("\(n)"), .ok(n.isMultiple(of: 37) ? padding : nil))
            }
            try await stream.append(contentsOf: (0..<500).map(event))
            async let seen = ids(stream.tail(), count: 1000)
            try await stream.elsewhere { stream in
                for n in 500..<1000 { try await stream.append(event(n)) }
            }
            #expect(try await seen == (0..<1000).map(String.init))
        }
    }

    @Test("appends by plain SQL are heard at once when they are announced")
    func announced() async throws {
        // Nothing but the announcement tells: what looks by itself is put off.
        try await withTestJournal(.with { $0.listening.checkInterval = .seconds(3600) }) { journal in
            let name = "with 'quotes', ünïcode and 日本語"
            let stream = try journal.stream(name)
            async let seen = ids(stream.tail(), count: 3)
            await untilListening(journal)
            try await withSQL(journal.configuration.databaseURL) { sql in
                for n in 0..<3 {
                    let event = #"{"type":"close","coroutineId":"\#(n)","result":{"status":"ok"}}"#
                    try await sql.run(
                        "select * from durable_streams.append(\(name.literal), array['\(event)']::json[])"
                    )
                    try await sql.run("select durable_streams.announce(array['other', \(name.literal)])")
                }
            }
            #expect(try await seen == ["0", "1", "2"])
        }
    }

    @Test("appends that nobody announces are found by the slow check")
    func unannounced() async throws {
        try await withTestJournal(.with { $0.listening.checkInterval = .milliseconds(50) }) { journal in
            let stream = try journal.stream("s")
            async let seen = ids(stream.tail(), count: 1)
            await untilListening(journal)
            try await withSQL(journal.configuration.databaseURL) { sql in
                let event = #"{"type":"close","coroutineId":"by hand","result":{"status":"ok"}}"#
                try await sql.run("select * from durable_streams.append('s', array['\(event)']::json[])")
            }
            #expect(try await seen == ["by hand"])
        }
    }

    @Test("a tail that begins while the last other one ends is not left without a listener")
    func beginsAsAnotherEnds() async throws {
        try await withTestJournal { journal in
            var last: Task<Void, any Error>?
            for n in 0..<300 {
                let stream = try journal.stream("\(n)")
                let next = Task { for try await _ in stream.tail(untilClose: true) {} }
                last?.cancel()
                last = next
            }
            // Whoever is left is told.
            try await journal.stream("299").elsewhere { try await $0.append(.close("root", .ok(nil))) }
            try await last?.value
            let stream = try journal.stream("end")
            async let seen = ids(stream.tail(), count: 1)
            await untilListening(journal)
            try await appendElsewhere(0..<1, stream)
            #expect(try await seen == ["0"])
        }
    }

    @Test("notifications that anybody sends bring no event, and stop nothing")
    func forged() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            async let seen = ids(stream.tail(), count: 40)
            await untilListening(journal)
            try await withSQL(journal.configuration.databaseURL) { sql in
                let payloads = [
                    "", ",", String(repeating: ",", count: 7999), String(repeating: "f", count: 7999), "probe:",
                    "probe:0", "probe:ffffffffffffffff", "-1", "999999999999999999999", "\u{1F9E8}\u{202E}", "\\x00",
                    "\\' or 1=1 --", String(repeating: "0123456789abcdef,", count: 470),
                    "{\"type\":\"close\",\"coroutineId\":\"forged\"}",
                ]
                for round in 0..<20 {
                    for payload in payloads {
                        try await sql.run("select pg_notify('durable_streams', \(payload.literal))")
                    }
                    try await sql.run("select pg_notify('other', 'x'), pg_notify('Durable_Streams', 'x')")
                    try await appendElsewhere((2 * round)..<(2 * round + 2), stream)
                }
            }
            #expect(try await seen == (0..<40).map(String.init))
            #expect(journal.listeningState == .listening || journal.listeningState == .idle)
        }
    }

    @Test("an empty notification and a flood of them are taken without a look at every stream each")
    func flood() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            async let seen = ids(stream.tail(), count: 1)
            await untilListening(journal)
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await sql.run(
                    "select pg_notify('durable_streams', n || repeat(',0', 3000)) from generate_series(1, 2000) n"
                )
            }
            try await appendElsewhere(0..<1, stream)
            #expect(try await seen == ["0"])
        }
    }

    @Test("a tail that catches up does not stop behind a large event")
    func largeEvents() async throws {
        let event = #"{"type":"close","coroutineId":"root","result":{"status":"ok"}}"#
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { theirs in
                let large = String(event.dropLast()) + String(repeating: " ", count: 40_000) + "}"
                let events = try (0..<6).map { try DurableEvent($0.isMultiple(of: 2) ? large : event) }
                try await theirs.stream("s").append(contentsOf: events)
                // Behind each it would wait for the next look.
                try await withJournal(.with(url) { $0.listening.checkInterval = .seconds(3600) }) { ours in
                    var tail = try ours.stream("s").tail().makeAsyncIterator()
                    for position in 0..<6 { #expect(try await tail.next()?.position == position) }
                }
            }
        }
    }
}
