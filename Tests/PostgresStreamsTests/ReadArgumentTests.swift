import PostgresStreams
import Testing
import TisynStreams

/// What cannot be read is refused, in one way for all that reads: with `invalidArgument`, when it is first asked.
@Suite("Reading: what is asked for", .serialized, .timeLimit(.minutes(10)))
struct ReadArgumentTests {
    /// The element type and the error type are the compiler's to check, too.
    private func refusal<E>(_ events: some AsyncSequence<E, JournalError>) async -> JournalError? {
        do throws(JournalError) {
            for try await _ in events {}
            return nil
        } catch {
            return error
        }
    }

    @Test("a position below 0", arguments: [-1, -5, Int.min])
    func position(_ position: Int) async throws {
        try await withTestJournal { journal in
            let stream = try journal.stream("s")
            try await stream.append(.close(.root, .cancelled))
            let errors = [
                await refusal(stream.read(from: position)),
                await refusal(stream.tail(from: .position(position))),
                await refusal(stream.tail(from: .position(position), untilClose: true)),
                await refusal(journal.tailAll(from: .position(position))),
            ]
            for error in errors {
                #expect(error?.code == .invalidArgument)
                #expect(error?.outcome == nil)
                #expect(error?.message.contains("\(position)") == true)
            }
            let append = await thrown { try await stream.append(.close(.root, .cancelled), expecting: position) }
            #expect(append?.code == .invalidArgument)
            // Past the end there is nothing yet, and that is no mistake.
            #expect(await refusal(stream.read(from: .max)) == nil)
        }
    }

    @Test("a prefix that no stream's name can have", arguments: ["a\0b", "\0", String(repeating: "é", count: 257)])
    func prefix(_ prefix: String) async throws {
        try await withTestJournal { journal in
            let listing = await refusal(journal.streams(prefix: prefix))
            let tailing = await refusal(journal.tailAll(prefix: prefix))
            for error in [listing, tailing] {
                #expect(error?.code == .invalidArgument)
                #expect(error?.sqlState == nil)
            }
        }
    }

    @Test("the longest prefix is that of a stream with the longest name")
    func longestPrefix() async throws {
        try await withTestJournal { journal in
            let name = String(repeating: "a", count: StreamName.maximumByteCount)
            try await journal.stream(name).append(.close(.root, .cancelled))
            var found: [StreamName] = []
            do throws(JournalError) {
                for try await summary in journal.streams(prefix: name) { found.append(summary.name) }
                for try await recorded in journal.tailAll(prefix: name) {
                    found.append(recorded.stream)
                    break
                }
            } catch {
                Issue.record(error)
            }
            #expect(found.map(\.text) == [name, name])
        }
    }

    @Test("replay indices say by type what they throw")
    func typedReplay() async throws {
        try await withTestJournal { journal in
            let index = try journal.stream("s").replayIndex()
            do throws(JournalError) {
                try await index.extend()
                try await index.read()
                let hasClose = try await index.hasClose(.root)
                let close = try await index.close(of: .root)
                let (ids, coroutines) = (try await index.coroutineIDs(), try await index.coroutines())
                #expect(!hasClose && close == nil && ids.isEmpty && coroutines.isEmpty)
            } catch {
                Issue.record(error)
            }
        }
    }
}
