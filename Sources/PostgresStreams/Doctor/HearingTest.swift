import LibPQ

/// Listens on one connection for what another one sends, as a journal's listener and announcer do.
struct HearingTest {
    let options: SessionOptions
    let schema: SchemaName
    /// The connection that notifies.
    let speaker: Conversation
    let timeout: Duration
    /// How long a notification may take, once the server has taken it.
    let patience: Duration

    enum Outcome {
        /// The median of the times from sending to hearing.
        case heard(Duration)
        case standby
        case deaf(isBehindPooler: Bool)
        case failed(JournalError)
    }

    private static let sampleCount = 9

    func run() async -> Outcome {
        do {
            return try await listen()
        } catch {
            return .failed(error)
        }
    }

    private func listen() async throws(JournalError) -> Outcome {
        let (heard, continuation) = AsyncStream.makeStream(of: String.self)
        let listener = try await Conversation.open(options, within: timeout, patience: FactFinder.patience) {
            notification in
            guard let notification else { return continuation.finish() }
            continuation.yield(notification.payload)
        }
        defer { listener.close() }
        let who = try await listener.run("select pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery()").last
        guard who?.bool(row: 0, column: 1) != true else { return .standby }
        let isBehindPooler = who?.integer(row: 0, column: 0) != listener.info.backendPID
        try await listener.run("listen \(schema.quoted)")
        var times: [Duration] = []
        var payloads = heard.makeAsyncIterator()
        for _ in 0..<Self.sampleCount {
            // Tails of this journal know that it is none of theirs.
            let probe = ListenerMachine.probePrefix + String(UInt64.random(in: .min ... .max), radix: 16)
            let start = ContinuousClock.now
            try await send(probe)
            listener.limit(to: patience)
            var payload = await payloads.next()
            while let other = payload, other != probe { payload = await payloads.next() }
            guard payload != nil else {
                if Task.isCancelled { throw JournalError.cancelled }
                guard listener.isLate else {
                    throw JournalError(.unreachable, "the connection that listened was cut")
                }
                if isBehindPooler { try? await unlisten() }
                return .deaf(isBehindPooler: isBehindPooler)
            }
            listener.limit(to: nil)
            times.append(ContinuousClock.now - start)
        }
        return .heard(times.sorted()[Self.sampleCount / 2])
    }

    private func send(_ probe: String) async throws(JournalError) {
        var parameters = Parameters()
        parameters.append(schema.text)
        parameters.append(probe)
        try await speaker.run(
            (
                Statement(name: "", sql: "select pg_catalog.pg_notify($1, $2)", parameterTypes: [.text, .text]),
                parameters
            )
        )
    }

    /// A pooler in transaction mode keeps what was listened for on a connection of its own: most likely the one that it
    /// gives out next.
    private func unlisten() async throws(JournalError) {
        let next = try await Conversation.open(options, within: timeout, patience: FactFinder.patience)
        defer { next.close() }
        try await next.run("unlisten \(schema.quoted)")
    }
}
