import ArgumentParser
import Foundation
import PostgresStreams

/// The other process of `bench tail`: tails streams, notes when which event was there, and how much memory it takes.
/// Hidden: only `bench tail` starts it.
///
/// Its lines: `base` with the memory in bytes and `opened` with the time before the tails were opened, `ready` with the
/// memory once each has had its first event; at the end `memory` with what it is and was at most, `event stream position
/// nanoseconds` for each that was noted, and `done count`.
struct TailBenchmarkReaderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail-reader",
        abstract: "Tails for `bench tail`, which starts it.",
        shouldDisplay: false
    )

    @OptionGroup var connection: ConnectionOptions

    @Option var prefix: String

    @Option var tails: Int

    /// Every so many events of a stream one is noted.
    @Option var sample = 1

    @Flag var polling = false

    private struct Noted: Sendable {
        var position: Int32
        var time: Int
    }

    func validate() throws {
        guard sample > 0 else { throw ValidationError("--sample takes 1 or more") }
    }

    func run() async throws {
        Task {
            await Output.standard.readerGone()
            _exit(ExitStatus.outputFailed.rawValue)
        }
        var configuration = connection.configuration
        configuration.listening.isEnabled = !polling
        // By which `bench tail` knows its sessions.
        configuration.applicationName = configuration.schema
        try await withJournal(configuration) { journal in
            try await say("base \(ProcessMemory.current)")
            try await say("opened \(MonotonicTime.now.nanoseconds)")
            let (firsts, continuation) = AsyncStream.makeStream(of: Void.self)
            let reporter = Task { try await report(journal, firsts) }
            let noted = try await withThrowingTaskGroup(of: (Int, Int, [Noted]).self) { group in
                for number in 0..<tails {
                    group.addTask { try await follow(number, journal) { continuation.yield() } }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            reporter.cancel()
            try await say("memory \(ProcessMemory.current) \(ProcessMemory.peak)")
            for (number, _, events) in noted {
                let lines = events.map { "event \(number) \($0.position) \($0.time)\n" }.joined()
                try await Output.standard.write(Array(lines.utf8))
            }
            try await say("done \(noted.reduce(0) { $0 + $1.1 })")
        }
        try await Output.standard.finish()
    }

    private func follow(
        _ number: Int,
        _ journal: Journal,
        _ hasFirst: () -> Void
    ) async throws -> (Int, Int, [Noted]) {
        // The option's value is looked up each time.
        let sample = sample
        var noted: [Noted] = []
        var count = 0
        for try await recorded in try journal.stream("\(prefix)\(number)").tail(untilClose: true) {
            if recorded.position % sample == 0 {
                noted.append(Noted(position: Int32(recorded.position), time: MonotonicTime.now.nanoseconds))
            }
            guard recorded.position == count else { throw ToolError(.checkFailed, "an event was lost or came twice") }
            count += 1
            if count == 1 { hasFirst() }
        }
        return (number, count, noted)
    }

    private func report(_ journal: Journal, _ firsts: AsyncStream<Void>) async throws {
        var waiting = tails
        for await _ in firsts {
            waiting -= 1
            if waiting == 0 { break }
        }
        for await state in journal.listeningStates() {
            if state == .listening || state == .polling(.turnedOff) { break }
        }
        try await say("ready \(ProcessMemory.current)")
    }

    private func say(_ line: String) async throws { try await Output.standard.write(Array("\(line)\n".utf8)) }
}
