import PostgresStreams
import Testing
import TisynStreams

/// An iterator is a value: copies of one go on from the same place, with the same page asked for ahead.
@Suite("Copied readers", .timeLimit(.minutes(10)))
struct ReaderCopyTests {
    private static let count = 400
    private static let firstPage = 100

    private func withReader(
        _ body: (inout StreamReading.Iterator, _ sql: SQLSession) async throws -> Void
    ) async throws {
        try await withTestJournal(.with { $0.pageSize = Self.firstPage }) { journal in
            let stream = try journal.stream("s")
            try await stream.append(contentsOf: (0..<Self.count).map { .close("\($0)", .cancelled) })
            var reader = stream.read().makeAsyncIterator()
            // The first page is there, and the second asked for.
            _ = try await reader.next()
            try await withSQL(journal.configuration.databaseURL) { sql in try await body(&reader, sql) }
        }
    }

    private static func rest(_ reader: StreamReading.Iterator) async throws -> Int {
        var reader = reader
        var count = 0
        while try await reader.next() != nil { count += 1 }
        return count
    }

    @Test("each reads all the rest")
    func copies() async throws {
        try await withReader { reader, _ in
            for _ in 0..<3 {
                let rest = try await Self.rest(reader)
                #expect(rest == Self.count - 1)
            }
        }
    }

    @Test("one that is cancelled while all wait for a page takes it from none of the others")
    func cancelled() async throws {
        try await withReader { reader, sql in
            // The third page is asked for when the second is begun, and does not come.
            try await sql.run("begin")
            try await sql.run("lock table durable_streams.events in access exclusive mode")
            let begun = Self.firstPage + 1
            for _ in 1..<begun { _ = try await reader.next() }
            // It goes to the task, and nobody else uses it.
            nonisolated(unsafe) var copy = reader
            let (reached, waiting) = AsyncStream.makeStream(of: Void.self)
            let other = Task {
                await thrown {
                    for _ in begun..<(2 * Self.firstPage) { _ = try await copy.next() }
                    waiting.finish()
                    _ = try await copy.next()
                }
            }
            for await _ in reached {}
            await Task.yield()
            other.cancel()
            #expect(await other.value?.code == .cancelled)
            try await sql.run("rollback")
            #expect(try await Self.rest(reader) == Self.count - begun)
        }
    }
}
