import LibPQ

/// Listens on one connection for what another one sends, as a journal's listener and announcer do.
struct HearingTest {
    let options: SessionOptions
    let schema: SchemaName
    /// The connection that notifies.
    let speaker: Conversation
    let timeout: Duration

    enum Outcome {
        /// The median of the times from sending to hearing.
        case heard(Duration)
        /// A pooler is in between: nothing was listened for, as it would leave that behind on a connection of its own.
        case pooler
        case standby
        case deaf
        case failed(JournalError)
    }

    private static let sampleCount = 9
    /// As a listener's own probe begins: tails of this journal know that it is none of theirs, and pay no attention to it.
    private static let probePrefix = "probe:"
    private static let patience = Duration.seconds(5)

    func run() async -> Outcome {
        do {
            return try await listen()
        } catch {
            return .failed(error.asNoAnswer)
        }
    }

    private func listen() async throws(JournalError) -> Outcome {
        let (heard, continuation) = AsyncStream.makeStream(of: String.self)
        let listener = try await Conversation.open(options, within: timeout) { notification in
            guard let notification else { return continuation.finish() }
            continuation.yield(notification.payload)
        }
        defer { listener.close() }
        listener.limit(to: FactFinder.patience)
        let who = try await listener.run("select pg_backend_pid(), pg_is_in_recovery()").last
        guard who?.bool(row: 0, column: 1) != true else { return .standby }
        guard who?.integer(row: 0, column: 0) == listener.info.backendPID else { return .pooler }
        try await listener.run("listen \(schema.quoted)")
        var times: [Duration] = []
        var payloads = heard.makeAsyncIterator()
        for _ in 0..<Self.sampleCount {
            let probe = Self.probePrefix + String(UInt64.random(in: .min ... .max), radix: 16)
            var parameters = Parameters()
            parameters.append(schema.text)
            parameters.append(probe)
            listener.limit(to: Self.patience)
            let start = ContinuousClock.now
            speaker.limit(to: Self.patience)
            defer { speaker.limit(to: nil) }
            try await speaker.run(
                (Statement(name: "", sql: "select pg_notify($1, $2)", parameterTypes: [.text, .text]), parameters)
            )
            var payload = await payloads.next()
            while let other = payload, other != probe { payload = await payloads.next() }
            // The time was up, and the session with it.
            guard payload != nil else { return .deaf }
            times.append(ContinuousClock.now - start)
        }
        return .heard(times.sorted()[Self.sampleCount / 2])
    }
}
