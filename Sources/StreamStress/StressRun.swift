import PostgresStreams
import StreamHistory
import TisynStreams

/// Writers, tails and readers on a journal, for a while; whatever is done to them meanwhile; and the account of it.
///
///     writers ─┐                        ┌─ History ─► violations
///     tails   ─┼─ say what happens ─────┤
///     reads   ─┘                        └─ counts, latencies ─► report
///     disruptor (from outside)
package struct StressRun: Sendable {
    package var plan: StressPlan
    /// The journals that writers share, one opened for each.
    package var writing: [JournalConfiguration]
    package var reading: JournalConfiguration
    /// By which the end is looked at; nothing must stand between.
    package var checking: JournalConfiguration

    package init(
        plan: StressPlan,
        writing: [JournalConfiguration],
        reading: JournalConfiguration,
        checking: JournalConfiguration
    ) {
        self.plan = plan
        self.writing = writing
        self.reading = reading
        self.checking = checking
    }

    /// Runs it, on a migrated and empty schema. Cancelled it ends early, and says what came of it so far.
    ///
    /// - Throws: `JournalError` when a journal cannot be opened, or the end not be read.
    package func run(_ disruptor: Disruptor? = nil) async throws -> StressReport {
        var journals: [Journal] = []
        do {
            try await withJournal(checking) { try await StressRows.prepare($0) }
            for configuration in writing + [reading] { journals.append(try await Journal.open(configuration)) }
            let report = try await run(disruptor, over: journals)
            for journal in journals { await journal.close() }
            return report
        } catch {
            for journal in journals { await journal.close() }
            throw error
        }
    }

    private func run(_ disruptor: Disruptor?, over journals: [Journal]) async throws -> StressReport {
        // Its time begins now.
        let ledger = StressLedger(duration: plan.duration)
        // In a task of its own, which is not cancelled: what is under way is to be settled and checked.
        let running = Task {
            try await run(disruptor, ledger, journals.dropLast(), journals[journals.count - 1])
        }
        return try await withTaskCancellationHandler {
            try await running.value
        } onCancel: {
            ledger.endNow()
        }
    }

    private func run(
        _ disruptor: Disruptor?,
        _ ledger: StressLedger,
        _ writing: ArraySlice<Journal>,
        _ reading: Journal
    ) async throws -> StressReport {
        let reader = StressReader(plan: plan, journal: reading, ledger: ledger)
        // Some tails are where their events are appended.
        let beside = writing.map { StressReader(plan: plan, journal: $0, ledger: ledger) }
        try await withThrowingTaskGroup(of: Void.self) { tails in
            for number in 0..<plan.tails {
                let reader = number % 4 == 3 ? beside[number % beside.count] : reader
                tails.addTask { try await reader.tail(number) }
            }
            if plan.tails > 0 { tails.addTask { try await reader.tailAll() } }
            try await ledger.running {
                try await withThrowingTaskGroup(of: Void.self) { writers in
                    for number in 0..<plan.writers {
                        var writer = StressWriter(
                            number: number,
                            plan: plan,
                            journal: writing[number % writing.count],
                            ledger: ledger
                        )
                        writers.addTask { try await writer.run() }
                    }
                    writers.addTask { try await reader.read() }
                    if let disruptor { writers.addTask { try await disrupt(disruptor, ledger) } }
                    try await writers.waitForAll()
                }
            }
            await ledger.timing("settling: flush") {
                for journal in writing { await journal.flush() }
            }
            try await ledger.timing("settling: outcomes and ends") { try await settle(ledger) }
            // Tails that do not arrive are what the check finds.
            let settling = plan.settling
            tails.addTask {
                try await Task.sleep(for: settling)
                throw TimeIsUp()
            }
            var left = plan.tails > 0 ? plan.tails + 1 : 0
            try await ledger.timing("settling: tails") {
                do {
                    while left > 0 {
                        try await tails.next()
                        left -= 1
                    }
                } catch is TimeIsUp {
                    ledger.record { [left] in $0.giveUpTails(left) }
                }
            }
            tails.cancelAll()
            while case .some = await tails.nextResult() {}
        }
        return try await check(ledger)
    }

    private struct TimeIsUp: Error {}

    private struct OpenAfterClaim: Error, CustomStringConvertible {
        let description = "an append is open (notWrittenYet), though its stream was claimed since"
    }

    private func disrupt(
        _ disruptor: Disruptor,
        _ ledger: StressLedger
    ) async throws {
        var random = SeededGenerator(seed: plan.seed, part: 3_000_000)
        var kinds = disruptor.kinds
        while !kinds.isEmpty {
            let pause = Duration.seconds(Double.random(in: disruptor.pause, using: &random))
            guard ledger.isRunning(after: pause) else { break }
            try? await Task.sleep(for: pause)
            guard !ledger.isEndedEarly else { break }
            let kind = kinds[Int.random(in: kinds.indices, using: &random)]
            if kind.isFailover { kinds.removeAll { $0.isFailover } }
            ledger.disrupted(kind.name)
            if kind.isFailover { ledger.record { $0.beginFailover() } }
            defer { if kind.isFailover { ledger.record { $0.endFailover() } } }
            do {
                try await ledger.timing(kind.name) { try await kind.action(&random) }
            } catch is CancellationError {
                break
            } catch {
                ledger.note("\(kind.name) failed: \(error)")
            }
        }
        try await ledger.timing("settling: calm") { try await disruptor.calm() }
        ledger.note("calm")
    }

    // MARK: The end

    /// Finds out what became of the appends whose outcome is unknown, and closes each stream: by a claim, so that nothing
    /// that is still on its way can come after.
    private func settle(_ ledger: StressLedger) async throws {
        try await withJournal(checking) { journal in
            for number in 0..<plan.streams {
                let stream = try journal.stream(StressPlan.name(number))
                let claim = try await retrying {
                    let claimNumber = ledger.record { $0.beginClaim(of: number) }
                    let claim = try await stream.claim()
                    ledger.record { $0.endClaim(claimNumber, epoch: claim.epoch, position: claim.position) }
                    return claim
                }
                // Where little was written, a tail may begin past the end: it is to come to one.
                let missing = claim.position..<max(claim.position, StressReader.lastStart)
                let fill = missing.map { EventID(writer: plan.writers + number, number: $0) }
                for id in fill + [EventID(writer: StressEvent.closer, number: number)] {
                    let append = ledger.record { $0.begin(id, to: number, epoch: claim.epoch) }
                    let position = try await claim.stream.append(StressEvent.make(id))
                    ledger.record { $0.acknowledge(append, at: position..<(position + 1)) }
                }
            }
            for unsettled in ledger.takeUnsettled() {
                let resolution = try await retrying { try await journal.resolve(unsettled.receipt) }
                switch resolution {
                case .written(let position):
                    ledger.record { $0.resolve(unsettled.append, .acknowledged(at: position)) }
                    ledger.count("unknown outcomes: written")
                case .notWritten, .notWrittenYet:
                    // The stream was claimed since: nothing is open any more. Unless its epochs were lost with a primary.
                    guard resolution == .notWritten || plan.mayLoseEnds else { throw OpenAfterClaim() }
                    ledger.record { $0.resolve(unsettled.append, .notWritten) }
                    ledger.count("unknown outcomes: not written")
                }
            }
        }
    }

    /// Again until it works, for as long as a run may take to settle. The journal waits by itself.
    private func retrying<R>(_ body: () async throws -> R) async throws -> R {
        let deadline = ContinuousClock.now + plan.settling
        while true {
            do {
                return try await body()
            } catch {
                guard ContinuousClock.now < deadline, !Task.isCancelled else { throw error }
            }
        }
    }

    /// The first position whose event a replay index has not got as the next of its coroutine; nil where it has all.
    private func differingReplay(of stream: PostgresStream) async throws -> Int? {
        let replay = stream.replayIndex()
        for try await recorded in stream.read() {
            let (event, id) = (recorded.event, recorded.event.coroutineID)
            do {
                switch event.kind {
                case .yield:
                    guard try await replay.peekYield(id) == event.yieldEntry() else { return recorded.position }
                    replay.consumeYield(id)
                case .close: guard try await replay.close(of: id) == event else { return recorded.position }
                }
            } catch let error as JournalError where error.code == .logReplaced {
                return recorded.position
            }
        }
        return nil
    }

    private func check(_ ledger: StressLedger) async throws -> StressReport {
        let server = try await withJournal(checking) { journal in
            for number in 0..<plan.streams {
                let stream = try journal.stream(StressPlan.name(number))
                var entries: [(position: Int, event: EventID?)] = []
                var damage: String?
                do {
                    for try await recorded in stream.read() {
                        entries.append((recorded.position, StressEvent.id(of: recorded.event)))
                    }
                } catch let error as JournalError where error.code == .logDamaged {
                    damage = error.message
                }
                ledger.record { [entries] in $0.end(number, with: entries) }
                if let damage {
                    ledger.record { $0.damage(of: number, damage) }
                    continue
                }
                if let position = try await differingReplay(of: stream) {
                    ledger.record { $0.replay(of: number, differsAt: position) }
                }
            }
            let rows = try await StressRows.all(journal)
            let transactions = ledger.all.transactions
            ledger.record { $0.endTransactions(of: transactions, rows: rows) }
            return journal.server.description
        }
        if plan.mayLoseEnds {
            ledger.count("events acknowledged and lost with the primary", ledger.record { $0.lostEventCount })
        }
        let state = ledger.all
        return StressReport(
            server: server,
            plan: plan,
            duration: .now - ledger.startedAt,
            counts: state.counts,
            disruptions: state.disruptions,
            longest: state.longest,
            latencies: state.latencies,
            longestSilence: state.longestSilence,
            violations: state.history.violations(),
            trace: state.trace
        )
    }
}
