import PostgresStreams
import StreamHistory
import TisynStreams

/// One writer of a run: appends events to its stream, one after the other, and says to the ledger what became of each.
struct StressWriter {
    let number: Int
    let plan: StressPlan
    let journal: Journal
    let ledger: StressLedger
    private let streamNumber: Int
    private var random: SeededGenerator
    private var nextEvent = 0
    private var claim: Claim?
    /// Where the next event goes, as far as a writer with a claim can know; nil: not known.
    private var nextPosition: Int?

    init(number: Int, plan: StressPlan, journal: Journal, ledger: StressLedger) {
        self.number = number
        self.plan = plan
        self.journal = journal
        self.ledger = ledger
        streamNumber = number % plan.streams
        random = SeededGenerator(seed: plan.seed, part: number)
    }

    mutating func run() async throws {
        let stream = try journal.stream(StressPlan.name(streamNumber))
        // Once at least, also where the time is over before the machine has come to it.
        repeat {
            await pause(average: Double(plan.writers) / Double(plan.rate))
            if plan.isContested(streamNumber), claim == nil { await claim(stream) }
            guard claim != nil || !plan.isContested(streamNumber) else { continue }
            // Now and then past its claim, which must not do.
            await append(to: random.once(in: 30) ? stream : claim?.stream ?? stream)
        } while ledger.isRunning()
    }

    /// Shorter where the time is over before, or the run is ended.
    private mutating func pause(average: Double) async {
        let pause = Duration.seconds(Double.random(in: 0...(2 * average), using: &random))
        try? await Task.sleep(for: ledger.atMostTheTimeLeft(pause))
    }

    private mutating func claim(_ stream: PostgresStream) async {
        let number = ledger.record { $0.beginClaim(of: streamNumber) }
        do {
            let claim = try await stream.claim()
            ledger.record { $0.endClaim(number, epoch: claim.epoch, position: claim.position) }
            ledger.count("claims")
            self.claim = claim
            nextPosition = claim.position
        } catch {
            ledger.count("claims failed")
        }
    }

    private mutating func append(to stream: PostgresStream) async {
        let count = random.once(in: 10) ? Int.random(in: 2...8, using: &random) : 1
        let first = EventID(writer: number, number: nextEvent)
        let events = (0..<count).map { StressEvent.make(EventID(writer: number, number: nextEvent + $0)) }
        nextEvent += count
        let expecting = random.once(in: 2) ? nextPosition : nil
        let isTransaction = random.once(in: 20)
        if isTransaction { ledger.beginTransaction(of: first) }
        let append = ledger.record {
            $0.begin(first, count: count, to: streamNumber, epoch: stream.epoch ?? 0, expecting: expecting)
        }
        let (patience, journal) = (self.patience(), self.journal)
        let start = ContinuousClock.now
        do {
            let positions = try await Self.call(cancellingAfter: patience) {
                guard isTransaction else { return try await stream.append(contentsOf: events, expecting: expecting) }
                return try await StressRows.append(first, events, to: stream, expecting: expecting, over: journal)
            }
            ledger.acknowledge(append, at: positions, after: .now - start)
            if nextPosition != nil { nextPosition = positions.upperBound }
        } catch let error as JournalError {
            ledger.fail(append, error)
            // Whatever it was: it may have been written, or somebody else have written.
            nextPosition = nil
            if error.code == .fenced && stream.epoch != nil || error.code == .conflict {
                claim = nil
                await pause(average: 0.1)
            }
        } catch {
            ledger.note("an append threw \(error)")
            ledger.record { $0.fail(append, nil) }
        }
    }

    /// After which time the append is cancelled; nil: it is not. Some in the middle of what an append takes; some only where
    /// it is held up.
    private mutating func patience() -> Duration? {
        if random.once(in: 50) { return .microseconds(Int.random(in: 0...2000, using: &random)) }
        if random.once(in: 5) { return .milliseconds(Int.random(in: 2...500, using: &random)) }
        return nil
    }

    /// Calls, and cancels the call after a while where it is to be.
    private static func call<R: Sendable>(
        cancellingAfter patience: Duration?,
        _ body: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        guard let patience else { return try await body() }
        return try await withThrowingTaskGroup(of: R?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try? await Task.sleep(for: patience)
                return nil
            }
            // The first is either its answer or the signal to give up; then the call's own end.
            if let answer = try await group.next() ?? nil {
                group.cancelAll()
                return answer
            }
            group.cancelAll()
            while let answer = try await group.next() {
                if let answer { return answer }
            }
            throw CancellationError()
        }
    }
}
