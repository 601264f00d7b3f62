import Testing
import TisynStreams

@testable import PostgresStreams

/// The queue against a server in memory that keeps the rules of `append_batch`, with accidents by chance.
@Suite("The append queue and a model of the server")
struct AppendQueueModelTests {
    @Test("whatever goes wrong, each event is where its caller was told, once and in order", arguments: 0..<2000)
    func accidents(seed: Int) {
        var run = ModelRun(seed: UInt64(seed))
        for _ in 0..<150 { run.step() }
        run.finish()
        #expect(run.queue.isEmpty)
        run.expectEveryAppendIsResolved()
        run.expectNoEventTwice()
        run.expectOutcomes()
        run.expectOrder()
    }
}

/// A queue, what its callers were told, and a server with other clients.
private struct ModelRun {
    private(set) var queue: AppendQueue
    private var server = ModelServer()
    private var random: SplitMix
    private var appends: [Append] = []
    private var results: [Int: [AppendResult]] = [:]
    private var answerCounts: [Int: Int] = [:]
    /// Those that we have claimed; others claim too, which our writers do not learn.
    private var epochs: [StreamName: Int] = [:]
    private var onTheWire: [Segment] = []
    /// Sendings whose connection was lost before the server had worked on them: it may yet.
    private var late: [Segment] = []
    private var now = 0

    private static let streams = ["a", "b", "c"].map { StreamName(trusting: $0) }
    private static let start = ContinuousClock.now

    init(seed: UInt64) {
        random = SplitMix(seed: seed)
        queue = AppendQueue(
            limits: .init(
                bytes: 40,
                runs: 2,
                events: 12,
                segmentsUnderWay: 1 + Int(seed % 3),
                alone: 1 + Int(seed / 3 % 2),
                // Every other time too few for all streams.
                lanes: seed.isMultiple(of: 2) ? 2 : 100
            ),
            random: SplitMix(seed: seed &+ 1_000_000)
        )
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    // MARK: What happens

    mutating func step() {
        now += 1
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<45: add()
        case 45..<55: others()
        case 55..<58: workLate()
        case 58..<60: expire()
        case 60..<62: withdraw()
        case 62..<64: giveUp()
        default: exchange(accidents: true)
        }
    }

    /// No more accidents, until nothing is left.
    mutating func finish() {
        while !queue.isEmpty { exchange(accidents: false) }
        while !late.isEmpty { workLate() }
    }

    private mutating func add() {
        let stream = Self.streams.randomElement(using: &random) ?? Self.streams[0]
        let id = appends.count
        let length = server.logs[stream]?.entries.count ?? 0
        let count = Int.random(in: 1...3, using: &random)
        let expecting = chance(25) ? length + Int.random(in: -1...2, using: &random) : nil
        let append = Append(
            id: id,
            stream: stream,
            epoch: epochs[stream],
            expecting: expecting.map { max(0, $0) },
            // An event the server refuses is of a coroutine that says so.
            events: (0..<count).map { .close(chance(2) ? "bad" : "\(id).\($0)", .cancelled) },
            byteCount: 8 * count,
            deadline: Self.start + .seconds(now + Int.random(in: 5...200, using: &random))
        )
        appends.append(append)
        queue.add(append)
    }

    private mutating func others() {
        let stream = Self.streams.randomElement(using: &random) ?? Self.streams[0]
        if chance(15) {
            let epoch = server.claim(stream)
            // It was us, or somebody else.
            if chance(70) { epochs[stream] = epoch }
        } else {
            server.appendByOthers(stream, count: chance(20) ? ModelServer.reach + 1 : 1)
        }
    }

    private mutating func exchange(accidents: Bool) {
        // A second passes with each step: rests are over before long, and no deadline comes once all goes well.
        queue.endRests(at: Self.start + .seconds(accidents ? now : now + 5))
        if onTheWire.isEmpty || chance(30), let segment = queue.nextSegment() {
            expectNoSharedStream(segment)
            return onTheWire.append(segment)
        }
        guard let index = onTheWire.indices.randomElement(using: &random) else { return }
        let segment = onTheWire.remove(at: index)
        guard accidents else { return work(on: segment) }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<10:
            // Lost on the way there; it may arrive later, or never.
            resolve(queue.connectionLost(segment.id, sent: true))
            if chance(50) { late.append(segment) }
        case 10..<20:
            // Lost on the way back.
            _ = try? server.work(on: segment)
            resolve(queue.connectionLost(segment.id, sent: true))
        case 20..<25:
            resolve(queue.connectionLost(segment.id, sent: false))
        case 25..<35:
            let state = ["55P03", "55P03", "57014", "53200", "25006", "53100", "57P01"].randomElement(using: &random)
            refuse(segment, state ?? "55P03")
        case 35..<37:
            refuse(segment, "42501")
        case 37..<42 where segment.isChained:
            refuse(segment, SQLState.uniqueViolation)
        default: work(on: segment)
        }
    }

    private mutating func work(on segment: Segment) {
        do {
            switch try server.work(on: segment) {
            case .answers(let answers): resolve(queue.answered(segment.id, answers))
            case .partial(let count): queue.partlyWritten(segment.id, count)
            case .unreadable: break
            }
        } catch ModelServer.Refused.badEvent {
            refuse(segment, "22P05")
        } catch {
            refuse(segment, SQLState.uniqueViolation)
        }
    }

    private mutating func refuse(_ segment: Segment, _ state: String) {
        let time = Self.start + .seconds(now)
        resolve(
            queue.refused(segment.id, .init(severity: "ERROR", sqlState: state, message: "no"), at: time).resolutions
        )
    }

    private mutating func workLate() {
        guard let index = late.indices.randomElement(using: &random) else { return }
        _ = try? server.work(on: late.remove(at: index))
    }

    private mutating func expire() {
        let expired = queue.expire(at: Self.start + .seconds(now), because: JournalError(.unreachable, "late"))
        late += expired.abandoned
        onTheWire.removeAll { segment in expired.abandoned.contains { $0.id == segment.id } }
        resolve(expired.resolutions)
        for given in expired.givenUp { results[given.append.id, default: []].append(given.result) }
    }

    private mutating func withdraw() {
        guard let append = appends.randomElement(using: &random), queue.withdraw(append.id, of: append.stream) != nil
        else { return }
        results[append.id, default: []].append(.failure(JournalError(.cancelled, outcome: .notWritten, "withdrawn")))
        answerCounts[append.id, default: 0] += 1
    }

    /// A caller is cancelled whose append is on the wire.
    private mutating func giveUp() {
        guard let append = appends.randomElement(using: &random), let (given, receipt) = queue.giveUp(append.id),
            !given.isGivenUp
        else { return }
        results[append.id, default: []].append(.failure(.unknown(receipt, because: .cancelledUnsent)))
    }

    private mutating func resolve(_ resolutions: [AppendQueue.Resolution]) {
        for resolution in resolutions { answerCounts[resolution.append.id, default: 0] += 1 }
        // Who gave up was told then.
        for resolution in resolutions where !resolution.append.isGivenUp {
            results[resolution.append.id, default: []].append(resolution.result)
        }
    }

    // MARK: What must hold

    /// Two segments under way with a stream in common could overtake each other.
    func expectNoSharedStream(_ segment: Segment) {
        let streams = Set(segment.runs.map(\.stream))
        #expect(onTheWire.allSatisfy { streams.isDisjoint(with: $0.runs.map(\.stream)) })
    }

    func expectEveryAppendIsResolved() {
        for append in appends {
            // Its caller is told once; and it is answered once, which `flush` waits for, though its caller may have been told.
            #expect(results[append.id]?.count == 1, "append \(append.id)")
            #expect(answerCounts[append.id] == 1, "append \(append.id)")
        }
    }

    func expectNoEventTwice() {
        for (stream, log) in server.logs {
            let ours = log.entries.compactMap(\.event)
            #expect(Set(ours).count == ours.count, "stream \(stream)")
        }
    }

    func expectOutcomes() {
        for append in appends {
            let entries = server.logs[append.stream]?.entries ?? []
            let there = entries.firstIndex { $0.event == ModelServer.Event(append: append.id, index: 0) }
            switch results[append.id]?.first {
            case .success(let position):
                let events = append.events.indices.map { ModelServer.Event(append: append.id, index: $0) }
                #expect(entries.dropFirst(position).prefix(events.count).map(\.event) == events)
                #expect(append.expecting == nil || append.expecting == position)
                // The stream's epoch when it was written: nothing is acknowledged after a fence.
                #expect(entries.dropFirst(position).first?.epoch == append.epoch ?? 0)
            case .failure(let error):
                switch error.outcome {
                case .notWritten: #expect(there == nil, "append \(append.id): \(error)")
                case .written: #expect(there != nil, "append \(append.id): \(error)")
                case .unknown: #expect(error.receipt != nil)
                case nil: Issue.record("append \(append.id) failed without an outcome: \(error)")
                }
            case nil: break
            }
        }
    }

    func expectOrder() {
        for stream in Self.streams {
            let positions = appends.filter { $0.stream == stream }.compactMap { try? results[$0.id]?.first?.get() }
            #expect(zip(positions, positions.dropFirst()).allSatisfy { $0 < $1 }, "stream \(stream)")
        }
    }
}

/// What `append_batch` and the view `appends` do, in memory: the rules are those at the head of the migration that defines
/// them.
private struct ModelServer {
    struct Event: Hashable {
        var append: Int
        var index: Int
    }

    struct Entry {
        /// Nil: another client's.
        var event: Event?
        /// The random half of the token.
        var token: UInt64?
        var epoch: Int
    }

    struct Log {
        var entries: [Entry] = []
        var epoch = 0
        /// By a claim: the next place is the claimer's.
        var isReserved = false
    }

    enum Refused: Error { case badEvent, takenPosition }

    /// How far past the named position an earlier sending is looked for; the real server's is 1,000.
    static let reach = 6

    private(set) var logs: [StreamName: Log] = [:]

    mutating func claim(_ stream: StreamName) -> Int {
        logs[stream, default: Log()].epoch += 1
        logs[stream]?.isReserved = true
        return logs[stream]?.epoch ?? 0
    }

    mutating func appendByOthers(_ stream: StreamName, count: Int) {
        let epoch = logs[stream]?.epoch ?? 0
        logs[stream]?.isReserved = false
        logs[stream, default: Log()].entries += Array(repeating: Entry(epoch: epoch), count: count)
    }

    mutating func work(on segment: Segment) throws -> Segment.Answers {
        let isBad = segment.runs.contains { $0.appends.contains { $0.events.contains { $0.coroutineID == "bad" } } }
        if isBad { throw Refused.badEvent }
        guard segment.isChained else { return .answers(segment.runs.map { append($0) }) }
        let following = segment.runs.filter(follows)
        guard !following.contains(where: isTaken) else { throw Refused.takenPosition }
        for run in following { write(run, epoch: logs[run.stream]?.epoch ?? 0) }
        let count = following.count
        guard count == segment.runs.count else { return .partial(count) }
        return .answers(segment.runs.map { .written($0.position, epoch: $0.epoch ?? 0) })
    }

    /// Whether its predecessor is there.
    private func follows(_ run: Segment.Run) -> Bool {
        guard let log = logs[run.stream], log.entries.indices.contains(run.position - 1),
            let token = log.entries[run.position - 1].token
        else { return false }
        return token == run.predecessor?.token.low
    }

    private func isTaken(_ run: Segment.Run) -> Bool {
        logs[run.stream].map { $0.isReserved || $0.entries.count > run.position } ?? false
    }

    private mutating func write(_ run: Segment.Run, epoch: Int) {
        for append in run.appends {
            for index in append.events.indices {
                let entry = Entry(event: Event(append: append.id, index: index), token: run.token.low, epoch: epoch)
                logs[run.stream, default: Log()].entries.append(entry)
            }
        }
        logs[run.stream]?.isReserved = false
    }

    private mutating func append(_ run: Segment.Run) -> Segment.Answer {
        let log = logs[run.stream] ?? Log()
        let next = log.entries.count
        let last = run.isExact ? run.position : run.position + Self.reach
        let token = run.token.low
        let found = log.entries.firstIndex { $0.token == token }.flatMap { $0 >= run.position && $0 <= last ? $0 : nil }
        guard (run.epoch ?? 0) == log.epoch else { return .fenced(by: log.epoch, at: found) }
        if let found { return .written(found, epoch: log.epoch) }
        if next < run.position || run.isExact && next > run.position { return .conflict(next) }
        if next - run.position > Self.reach { return .behind(next) }
        write(run, epoch: log.epoch)
        return .written(next, epoch: log.epoch)
    }
}
