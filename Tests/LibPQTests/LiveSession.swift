import Synchronization

@testable import LibPQ

/// A session and its events, for tests: each is waited for, none is missed.
struct LiveSession {
    typealias Outcome = Result<[QueryResult], BatchFailure>

    struct Unexpected: Error, CustomStringConvertible {
        var description: String
    }

    let session: Session
    private var events: AsyncStream<Session.Event>.Iterator

    init(_ options: SessionOptions, after delay: Duration = .zero) throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Session.Event.self)
        let session = Session.start(options, after: delay) { _, event in
            continuation.yield(event)
            if case .ended = event { continuation.finish() }
        }
        guard let session else { throw Unexpected(description: "no thread or file descriptor is left") }
        self.session = session
        events = stream.makeAsyncIterator()
    }

    /// Connected.
    static func open(_ connectionString: String) async throws -> LiveSession {
        var session = try LiveSession(SessionOptions(connectionString: connectionString))
        _ = try await session.connected()
        return session
    }

    // MARK: Events

    /// The next event; nil after the last.
    mutating func next() async -> Session.Event? { await events.next() }

    mutating func connected(goesAhead: Bool = true) async throws -> ConnectionInfo {
        let event = await next()
        guard case .connected(let info) = event else {
            throw Unexpected(description: "\(event.map { "\($0)" } ?? "nothing") came, not a connection")
        }
        // There is no pooler.
        if goesAhead { session.goAhead() }
        return info
    }

    /// Waits for the end, and expects it to be the last event. Those before are dropped.
    mutating func ended() async throws -> ConnectionFailure {
        while let event = await next() {
            guard case .ended(let failure) = event else { continue }
            guard await next() == nil else { throw Unexpected(description: "an event came after the last") }
            return failure
        }
        throw Unexpected(description: "the session ended without saying so")
    }

    mutating func close() async throws {
        session.close()
        _ = try await ended()
    }

    // MARK: Batches

    func run(_ sql: String) async -> Outcome { await run([.init(sql)]) }

    /// One batch of several statements.
    func run(_ commands: [Command]) async -> Outcome {
        await withCheckedContinuation { continuation in
            session.submit([Batch(commands.map(\.sent)) { continuation.resume(returning: $0) }])
        }
    }

    /// Submits a batch for each of these at once, and gives what became of them in the order in which it was told.
    func submit(_ statements: [Command]) -> AsyncStream<(index: Int, outcome: Outcome)> {
        let (stream, continuation) = AsyncStream.makeStream(of: (index: Int, outcome: Outcome).self)
        let count = Count(remaining: statements.count)
        session.submit(
            statements.enumerated().map { index, command in
                Batch([command.sent]) { outcome in
                    continuation.yield((index, outcome))
                    if count.isLast() { continuation.finish() }
                }
            }
        )
        return stream
    }

    private final class Count: Sendable {
        private let remaining: Mutex<Int>

        init(remaining: Int) { self.remaining = Mutex(remaining) }

        func isLast() -> Bool {
            remaining.withLock { remaining in
                remaining -= 1
                return remaining == 0
            }
        }
    }

    struct Command {
        let sent: (Statement, Parameters)

        init(_ sql: String, types: [ParameterType] = [], _ build: (inout Parameters) -> Void = { _ in }) {
            var parameters = Parameters()
            build(&parameters)
            // Names may have 63 bytes, and must differ as the statements do.
            let name = "s\(UInt(bitPattern: sql.hashValue))"
            sent = (Statement(name: name, sql: sql, parameterTypes: types), parameters)
        }
    }
}

extension Result<[QueryResult], BatchFailure> {
    /// The last statement's first value as text.
    var text: String? { (try? get())?.last?.optionalText(row: 0, column: 0) }

    var integer: Int? { (try? get())?.last?.integer(row: 0, column: 0) }

    /// The SQLSTATE, where the server refused.
    var refusal: String? {
        if case .failure(.refused(let message)) = self { message.sqlState } else { nil }
    }

    /// Whether it was sent, where the connection was lost.
    var lost: Bool? {
        if case .failure(.connectionLost(_, let sent)) = self { sent } else { nil }
    }
}
