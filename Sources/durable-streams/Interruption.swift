import Foundation
import PostgresStreams

/// Turns SIGINT and SIGTERM into the cancellation of what runs, and its end into exit code 130.
///
/// The first signal cancels: a tail ends, an append waits for the answers under way. Whoever needs longer than the grace
/// period, or gets a second signal, is ended at once.
enum Interruption {
    private static let grace: DispatchTimeInterval = .seconds(5)

    /// Runs `body`; does not return when a signal came.
    static func run(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let interruption = Latch()
        let task = Task { try await body() }
        let queue = DispatchQueue(label: "durable-streams.signals")
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                guard interruption.raise() else { _exit(ExitStatus.interrupted.rawValue) }
                task.cancel()
                queue.asyncAfter(deadline: .now() + grace) { _exit(ExitStatus.interrupted.rawValue) }
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
        case .failure(let error as ToolError): error.message
        case .failure(let error): "\(error)"
        }
    }
}
