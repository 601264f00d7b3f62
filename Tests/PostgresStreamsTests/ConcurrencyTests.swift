import PostgresStreams
import Testing
import TisynStreams

/// Many writers, as in many processes: each with a journal of its own.
@Suite("Many writers", .serialized, .timeLimit(.minutes(10)))
struct ConcurrencyTests {
    /// What each of several journals did at the same time.
    private func withWriters<R: Sendable>(
        _ count: Int,
        _ url: String,
        _ body: @escaping @Sendable (_ number: Int, _ journal: Journal) async throws -> R
    ) async throws -> [R] {
        try await withThrowingTaskGroup(of: R.self) { group in
            for number in 0..<count {
                group.addTask { try await withJournal(.quiet(url)) { try await body(number, $0) } }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    @Test("many journals append to one unclaimed stream: dense, and every acknowledged event at its position")
    func oneStream() async throws {
        try await withTestDatabase { url in
            let acknowledged = try await withWriters(6, url) { number, journal in
                let stream = try journal.stream("s")
                return try await withThrowingTaskGroup(of: [(Int, CoroutineID)].self) { group in
                    for task in 0..<4 {
                        group.addTask {
                            var mine: [(Int, CoroutineID)] = []
                            for n in 0..<25 {
                                let id = CoroutineID("\(number).\(task).\(n)")
                                mine.append((try await stream.append(.close(id, .ok(nil))), id))
                            }
                            return mine
                        }
                    }
                    return try await group.reduce(into: []) { $0 += $1 }
                }
            }.flatMap(\.self).sorted { $0.0 < $1.0 }
            try await withJournal(.quiet(url)) { journal in
                let ids = try await journal.stream("s").readAll().map(\.coroutineID)
                #expect(acknowledged.map(\.0) == Array(0..<600))
                #expect(acknowledged.map(\.1) == ids)
                // A task that waits for each of its appends finds them in that order.
                for writer in 0..<24 {
                    let prefix = "\(writer / 4).\(writer % 4)."
                    let order = ids.filter { $0.encoded.hasPrefix(prefix) }.map(\.encoded)
                    #expect(order == (0..<25).map { "\(prefix)\($0)" })
                }
            }
        }
    }

    @Test("of many that expect the same position exactly one wins it, and the others learn where the stream is")
    func racers() async throws {
        try await withTestDatabase { url in
            let won = try await withWriters(5, url) { number, journal in
                let stream = try journal.stream("s")
                var won: [Int] = []
                var next = 0
                while next < 60 {
                    do {
                        let id = CoroutineID("\(number)")
                        #expect(try await stream.append(.close(id, .ok(nil)), expecting: next) == next)
                        won.append(next)
                        next += 1
                    } catch let error as JournalError {
                        #expect(error.code == .conflict)
                        #expect(error.outcome == .notWritten)
                        #expect(error.expectedPosition == next)
                        let actual = try #require(error.actualPosition)
                        #expect(actual > next)
                        next = actual
                    }
                }
                return (number, won)
            }
            try await withJournal(.quiet(url)) { journal in
                let ids = try await journal.stream("s").readAll().map(\.coroutineID)
                #expect(won.flatMap(\.1).sorted() == Array(0..<60))
                for (number, positions) in won {
                    #expect(positions.allSatisfy { ids[$0] == CoroutineID("\(number)") })
                }
            }
        }
    }

    @Test("batches are whole, whoever else writes to the stream")
    func batches() async throws {
        try await withTestDatabase { url in
            let ranges = try await withWriters(4, url) { number, journal in
                let stream = try journal.stream("s")
                return try await withThrowingTaskGroup(of: (String, Range<Int>).self) { group in
                    for n in 0..<30 {
                        group.addTask {
                            let name = "\(number).\(n)"
                            let events: [DurableEvent] = (0..<(1 + n % 7)).map {
                                .close(CoroutineID("\(name).\($0)"), .ok(nil))
                            }
                            return (name, try await stream.append(contentsOf: events))
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
            }.flatMap(\.self).sorted { $0.1.lowerBound < $1.1.lowerBound }
            try await withJournal(.quiet(url)) { journal in
                let ids = try await journal.stream("s").readAll().map(\.coroutineID)
                var next = 0
                for (name, range) in ranges {
                    #expect(range.lowerBound == next)
                    #expect(ids[range].map(\.encoded) == range.indices.map { "\(name).\($0 - range.lowerBound)" })
                    next = range.upperBound
                }
                #expect(next == ids.count)
            }
        }
    }

    @Test("one event that the server refuses fails alone, not its neighbours")
    func refusedNeighbour() async throws {
        try await withTestJournal { journal in
            try await withSQL(journal.configuration.databaseURL) { sql in
                try await sql.run(
                    "alter table durable_streams.events add constraint no_evil check (coroutine_id <> 'evil')"
                )
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<24 {
                    group.addTask {
                        let stream = try journal.stream("s\(writer % 12)")
                        for n in 0..<10 {
                            guard writer == 5, n.isMultiple(of: 3) else {
                                try await stream.append(.close("good", .ok(nil)))
                                continue
                            }
                            let error = await thrown { try await stream.append(.close("evil", .ok(nil))) }
                            #expect(error?.code == .refused)
                            #expect(error?.outcome == .notWritten)
                            #expect(error?.sqlState == "23514")
                        }
                    }
                }
                try await group.waitForAll()
            }
            var count = 0
            for s in 0..<12 { count += try await journal.stream("s\(s)").nextPosition() }
            #expect(count == 24 * 10 - 4)
        }
    }

    @available(macOS 26, *)
    @Test("appends that one task starts one after the other without waiting keep their order")
    func order() async throws {
        try await withTestJournal { journal in
            for stream in [try journal.stream("open"), try await journal.stream("claimed").claim().stream] {
                let tasks = (0..<300).map { n in
                    Task.immediate { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil))) }
                }
                for (n, task) in tasks.enumerated() {
                    let position = try await task.value
                    #expect(position == n)
                }
                #expect(try await stream.readAll().map(\.coroutineID.encoded) == (0..<300).map { "\($0)" })
            }
        }
    }

    @available(macOS 26, *)
    @Test("chained expectations of one writer all hold, however they share transactions")
    func chain() async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            let tasks = (0..<200).map { n in
                Task.immediate { try await stream.append(.close(CoroutineID("\(n)"), .ok(nil)), expecting: n) }
            }
            for (n, task) in tasks.enumerated() {
                let position = try await task.value
                #expect(position == n)
            }
        }
    }
}
