import LibPQ

/// One session used step by step by one task: what the migrator, the doctor and the caller's transactions need, with
/// transactions that span several answers.
final class Conversation: Sendable {
    let info: ConnectionInfo
    private let session: Session
    private let alarm: Alarm
    /// How long an answer may take, unless it is said otherwise; nil: as long as it takes.
    private let patience: Duration?
    private let byteLimit: Int

    private init(session: Session, info: ConnectionInfo, alarm: Alarm, patience: Duration?, byteLimit: Int) {
        self.session = session
        self.info = info
        self.alarm = alarm
        self.patience = patience
        self.byteLimit = byteLimit
    }

    /// Connects, again and again until `timeout` is over, unless trying again is useless.
    ///
    /// - Parameters:
    ///   - patience: ends the session where an answer takes longer. What is run then throws `unreachable`.
    ///   - byteLimit: statements whose parameters come to so many bytes are refused.
    ///   - heard: is told of notifications, and of the end of the session by nil; on the session's thread.
    static func open(
        _ options: SessionOptions,
        within timeout: Duration,
        patience: Duration? = nil,
        byteLimit: Int = Parameters.byteLimit,
        heard: (@Sendable (Notification?) -> Void)? = nil
    ) async throws(JournalError) -> Conversation {
        let deadline = ContinuousClock.now + timeout
        var backOff = BackOff()
        // Says more than that the time was over.
        var lastError: JournalError?
        while true {
            let outcome = Once<Result<ConnectionInfo, ConnectionFailure>>()
            let alarm = Alarm()
            var attempt = options
            let pause = backOff.delay
            guard lastError == nil || ContinuousClock.now + pause < deadline else { break }
            attempt.connectDeadline = deadline
            let session = Session.start(attempt, after: pause) { session, event in
                switch event {
                case .connected(let info): outcome.set(.success(info))
                case .ended(let failure):
                    outcome.set(.failure(failure))
                    heard?(nil)
                case .notification(let notification): heard?(notification)
                case .timer: alarm.ring(session)
                }
            }
            guard let session else {
                throw JournalError(.unreachable, "the process is out of threads or file descriptors")
            }
            let result = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    outcome.onValue { continuation.resume(returning: $0) }
                }
            } onCancel: {
                session.close()
            }
            switch result {
            case .success(let info):
                return Conversation(
                    session: session,
                    info: info,
                    alarm: alarm,
                    patience: patience,
                    byteLimit: byteLimit
                )
            case .failure(let failure):
                let error = JournalError(failure)
                if lastError == nil || failure.reason != .timedOut { lastError = error }
                guard !Task.isCancelled else { throw JournalError.cancelled }
                guard error.code == .unreachable else { throw error }
                backOff.failed()
            }
        }
        throw lastError ?? JournalError(.unreachable, "there was no time to connect")
    }

    /// Sends statements as one batch and waits for their answers. An error's outcome is `notWritten` where they were not
    /// sent; otherwise it has none.
    ///
    /// - Parameter time: how long that may take; nil: as long as any answer.
    @discardableResult
    func run(
        _ commands: (Statement, Parameters)...,
        within time: Duration? = nil
    ) async throws(JournalError) -> [QueryResult] {
        try await run(commands, within: time)
    }

    private func run(
        _ commands: [(Statement, Parameters)],
        within time: Duration?
    ) async throws(JournalError) -> [QueryResult] {
        let time = time ?? patience
        if let time { limit(to: time) }
        let result = await withCheckedContinuation { continuation in
            submit(commands) { [self] result in
                // Here and not in the task: when that goes on is not the server's doing.
                if time != nil { limit(to: nil) }
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    /// The same for those who do not wait: `completion` is called once, on the session's thread, or before this returns.
    func submit(
        _ commands: [(Statement, Parameters)],
        completion: @escaping @Sendable (Result<[QueryResult], JournalError>) -> Void
    ) {
        guard commands.allSatisfy({ $0.1.byteCount < byteLimit }) else {
            let error = JournalError(
                .invalidArgument,
                outcome: .notWritten,
                "the parameters of one statement come to 1 GiB or more, which PostgreSQL takes from nobody"
            )
            return completion(.failure(error))
        }
        session.submit([Batch(commands) { [alarm] in completion($0.mapError { Self.error($0, alarm) }) }])
    }

    private static func error(_ failure: BatchFailure, _ alarm: Alarm) -> JournalError {
        switch failure {
        case .refused(let message): return JournalError(message, outcome: nil)
        case .connectionLost(let failure, let wasSent):
            // It was closed on this side since the other did not answer; the journal was not.
            var error = alarm.reason.map { JournalError(.unreachable, $0) } ?? JournalError(failure)
            if !wasSent { error.outcome = .notWritten }
            return error
        }
    }

    @discardableResult
    func run(_ sql: String..., within time: Duration? = nil) async throws(JournalError) -> [QueryResult] {
        try await run(sql.map { (Statement(name: "", sql: $0), Parameters()) }, within: time)
    }

    /// Ends the session when so much time has passed, whatever it is at; nil: never. A later call replaces an earlier one.
    /// What is run then throws `unreachable`.
    func limit(to time: Duration?) { alarm.limit(session, to: time) }

    /// From here on, until the next limit: as often as the session was silent for long it is found out whether the server is
    /// at what was run. Where it is not, the session ends, and what is run throws `unreachable`.
    func watch(by inquirer: @escaping Alarm.Inquirer) { alarm.watch(session, by: inquirer) }

    /// Whether the session was ended on this side, since its time was over or it fell silent.
    var isLate: Bool { alarm.reason != nil }

    /// There is no pooler: what is submitted does not wait for the answers to what was before.
    func goAhead() { session.goAhead() }

    var isOpen: Bool { session.isOpen }

    /// What was run has made of the session; nil where that is not known.
    var standing: SessionStanding? { session.standing }

    func close() { session.close() }
}
