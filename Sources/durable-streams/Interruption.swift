import Foundation
import PostgresStreams
import Synchronization

/// Turns SIGINT and SIGTERM into the cancellation of what runs, and its end into exit code 130.
///
/// The first signal cancels: a tail ends, an append waits for the answers under way. Whoever needs longer than the grace
/// period, unless that was announced, or gets a second signal, is ended at once, with the word that was left for that
/// case.
enum Interruption {
    private static let grace: DispatchTimeInterval = .seconds(5)

    /// What is to be said of something that runs, as of the moment it is asked.
    private struct Notice {
        var id: Int
        var words: @Sendable () -> [String]
    }

    private struct Notices {
        var nextID = 0
        var all: [Notice] = []
    }

    private static let notices = Mutex(Notices())
    private static let isPatient = Latch()

    /// From here on only a second signal ends the program before it has ended by itself.
    static func waitsForTheEnd() { isPatient.raise() }

    /// Runs `body`; where the program is ended meanwhile, without waiting for it, `word` is said before.
    static func saying<R>(_ word: String?, during body: () async throws -> R) async rethrows -> R {
        try await saying({ word.map { [$0] } ?? [] }, during: body)
    }

    /// The same with what there is to say by then.
    static func saying<R>(
        _ words: @escaping @Sendable () -> [String],
        during body: () async throws -> R
    ) async rethrows -> R {
        let id = notices.withLock { notices in
            notices.nextID += 1
            notices.all.append(Notice(id: notices.nextID, words: words))
            return notices.nextID
        }
        defer { notices.withLock { $0.all.removeAll { $0.id == id } } }
        return try await body()
    }

    private static func exitAtOnce() -> Never {
        // Nobody may read what is said, and the pipe be full.
        DispatchQueue(label: "durable-streams.exit").asyncAfter(deadline: .now() + 1) {
            _exit(ExitStatus.interrupted.rawValue)
        }
        for word in notices.withLock({ $0.all.flatMap { $0.words() } }) { StandardError.say(word) }
        _exit(ExitStatus.interrupted.rawValue)
    }

    /// Runs `body`; does not return when a signal came.
    static func run(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let interruption = Latch()
        let task = Task { try await body() }
        let queue = DispatchQueue(label: "durable-streams.signals")
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                guard interruption.raise() else { exitAtOnce() }
                task.cancel()
                if !isPatient.isRaised { queue.asyncAfter(deadline: .now() + grace) { exitAtOnce() } }
            }
            source.resume()
            return source
        }
        let result = await task.result
        for source in sources { source.cancel() }
        guard interruption.isRaised else { return try result.get() }
        throw ToolError(.interrupted, message(of: result))
    }

    /// Being cancelled is what was asked for; anything else that went wrong is worth a word.
    private static func message(of result: Result<Void, any Error>) -> String {
        switch result {
        case .success: ""
        case .failure(is CancellationError): ""
        case .failure(let error as JournalError)
        where error.outcome == nil && [.cancelled, .closed].contains(error.code):
            ""
        case .failure(let error as JournalError): error.text
        case .failure(let error as ToolError): error.message
        case .failure(let error): "\(error)"
        }
    }
}
