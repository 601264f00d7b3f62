import PostgresStreams
import TisynStreams

/// The demo's executor, as small as one can be: a coroutine whose effects are replayed where the journal has them, and
/// run and recorded where it has not. The library matches and records; running is the business of whoever uses it.
struct Coroutine: Sendable {
    /// What the coroutines of one execution share.
    struct Execution: Sendable {
        let stream: PostgresStream
        let index: StreamReplayIndex
        let ledger: EffectLedger
        let run: Int

        func report(_ report: WorkerReport) async throws { try await Output.standard.write(report.line) }
    }

    let id: CoroutineID
    let execution: Execution
    private var yields = 0

    init(_ id: CoroutineID, in execution: Execution) {
        self.id = id
        self.execution = execution
    }

    /// Yields an effect and gives its result: the recorded one, or that of running it, which is durable by then.
    ///
    /// - Throws: `Divergence` when the journal is not this program's; what appending throws.
    mutating func yield(_ effectID: String, _ input: String) async throws -> EffectResult {
        let effect = try EffectDescription(effectID: effectID, input: JSONText(input))
        defer { yields += 1 }
        switch try await execution.index.match(effect, in: id) {
        case .replay(let result):
            try await execution.report(.replayed(coroutine: id.string, effect: effectID))
            return result
        case .live:
            try execution.ledger.add(.init(run: execution.run, coroutine: id.string, index: yields, effect: effectID))
            try await execution.report(.started(coroutine: id.string, effect: effectID))
            let result = try await OrderEffects.run(effectID, input: effect.input)
            try await record(.yield(id, effect, result))
            return result
        }
    }

    /// Closes the coroutine, unless it has closed before.
    func close(_ result: EffectResult) async throws {
        guard try await !execution.index.hasClose(id) else { return }
        try await record(.close(id, result))
    }

    /// Persist before resume (contract §2): what follows happens only after the event is durable.
    private func record(_ event: DurableEvent) async throws {
        let position = try await execution.stream.append(event)
        try await execution.report(.recorded(position: position, at: .now))
    }
}
