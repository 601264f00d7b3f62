import Testing

@testable import PostgresStreams

/// The registry against logs in memory: appends by others and by this process, hints that get lost, consumers that dawdle,
/// connections that change.
@Suite("The tail registry and a model of the server")
struct TailRegistryModelTests {
    @Test("every event is delivered once and in order, at the latest after a look at everything", arguments: 0..<400)
    func deliveries(seed: Int) {
        var run = TailModelRun(seed: UInt64(seed), losesHints: true)
        for _ in 0..<200 { run.step() }
        run.hintAll()
        run.finish()
        run.expectAllDelivered()
    }

    @Test("where no hint is lost every event is delivered without such a look", arguments: 0..<400)
    func hintsAlone(seed: Int) {
        var run = TailModelRun(seed: UInt64(seed), losesHints: false)
        for _ in 0..<200 { run.step() }
        run.finish()
        run.expectAllDelivered()
    }
}

private struct TailModelRun {
    private struct Consumer {
        var stream: Int
        var start: Int
        var delivered: [Int] = []
        var isWaiting = false
    }

    private struct Reading {
        var queries: [TailRegistry.Query]
        var connection: Int
        /// What each stream had when the server read it; nil while it has not.
        var snapshot: [Int]?
    }

    private var registry = TailRegistry()
    private var random: SplitMix
    private var lengths = [0, 0, 0]
    private var consumers: [Int: Consumer] = [:]
    private var reading: Reading?
    private var connection = 1
    /// What this process has appended and not heard of: the answers come in any order.
    private var unanswered: [(stream: Int, position: Int)] = []

    private static let streams = ["a", "b", "c"].map { StreamName(trusting: $0) }
    private static let pageSize = 3

    /// And now and then everything is looked at.
    private let losesHints: Bool

    init(seed: UInt64, losesHints: Bool) {
        random = SplitMix(seed: seed)
        self.losesHints = losesHints
    }

    private mutating func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &random) }

    // MARK: What happens

    mutating func step() {
        switch number(0..<100) {
        case 0..<15: append()
        case 15..<20: appendHere()
        case 20..<25: answerHere()
        case 25..<30: if losesHints { hintAll() }
        case 30..<35: comeAndGo()
        case 35..<60: pull()
        case 60..<65: connection += 1
        default: read()
        }
    }

    mutating func hintAll() { registry.hintAll() }

    /// Everybody pulls until there is nothing more.
    mutating func finish() {
        while !unanswered.isEmpty { answerHere() }
        var progress = true
        while progress {
            let before = consumers.values.reduce(0) { $0 + $1.delivered.count }
            for id in consumers.keys.sorted() { wait(id) }
            for _ in 0..<6 { read() }
            progress = consumers.values.reduce(0) { $0 + $1.delivered.count } > before || reading != nil
        }
    }

    private mutating func append() {
        let stream = number(0..<3)
        lengths[stream] += number(1..<6)
        if !losesHints || number(0..<100) < 70 { registry.hint([Self.streams[stream].digest]) }
    }

    private mutating func appendHere() {
        let stream = number(0..<3)
        // The first event of all goes behind none.
        guard lengths[stream] > 0 else { return }
        unanswered.append((stream, lengths[stream]))
        lengths[stream] += 1
    }

    private mutating func answerHere() {
        guard !unanswered.isEmpty else { return }
        let (stream, position) = unanswered.remove(at: number(0..<unanswered.count))
        var taking: [Int] = []
        registry.appended(
            .made(at: position),
            to: Self.streams[stream],
            behind: EventRow.made(at: position - 1).token,
            taking: &taking
        )
        for id in taking { deliver(registry.take(id), to: id) }
    }

    private mutating func comeAndGo() {
        if number(0..<3) == 0, let id = consumers.keys.sorted().randomElement(using: &random) {
            registry.remove(id)
            consumers[id] = nil
            return
        }
        let stream = number(0..<3)
        let start = number(0..<(lengths[stream] + 3))
        let id = registry.addConsumer()
        registry.add(Self.streams[stream], cursor: start, for: id)
        consumers[id] = Consumer(stream: stream, start: start)
    }

    private mutating func pull() {
        guard let id = consumers.keys.sorted().randomElement(using: &random) else { return }
        wait(id)
    }

    private mutating func wait(_ id: Int) {
        guard consumers[id]?.isWaiting == false else { return }
        consumers[id]?.isWaiting = true
        deliver(registry.pull(id), to: id)
    }

    /// One query at a time: it is asked, read at some moment, answered at a later one.
    private mutating func read() {
        guard var current = reading else {
            var queries = registry.takeQueries(.following, limit: 2, connection: connection)
            if queries.isEmpty { queries = registry.takeQueries(.catchingUp, limit: 2, connection: connection) }
            if !queries.isEmpty { reading = Reading(queries: queries, connection: connection) }
            return
        }
        guard let snapshot = current.snapshot else {
            current.snapshot = lengths
            reading = current
            return
        }
        reading = nil
        guard current.connection == connection else { return registry.readAgain(current.queries) }
        for query in current.queries { answer(query, snapshot) }
    }

    private mutating func answer(_ query: TailRegistry.Query, _ snapshot: [Int]) {
        let stream = Self.streams.firstIndex(of: query.stream) ?? 0
        let limit = Self.pageSize + 1
        let rows = (query.position..<max(query.position, snapshot[stream])).prefix(limit).map { EventRow.made(at: $0) }
        guard let id = registry.read(query, rows, isFull: rows.count == limit, connection: connection) else { return }
        deliver(registry.take(id), to: id)
    }

    private mutating func deliver(_ taken: Result<TailPage, JournalError>?, to id: Int) {
        switch taken {
        case nil: break
        case .success(let page):
            // Rows for a consumer that does not wait would be lost.
            #expect(consumers[id]?.isWaiting == true)
            #expect(!page.rows.isEmpty)
            consumers[id]?.isWaiting = false
            consumers[id]?.delivered += page.rows.map(\.position)
        case .failure(let error): Issue.record(error)
        }
    }

    // MARK: What must hold

    func expectAllDelivered() {
        for consumer in consumers.values {
            #expect(consumer.delivered == Array(consumer.start..<max(consumer.start, lengths[consumer.stream])))
        }
    }
}
