import Testing

@testable import PostgresStreams

/// Where a tail of all streams looks for new ones.
@Suite("Scanning for streams")
struct StreamScanTests {
    @Test("while an old transaction is under way a hint costs a look at the last ids; all are read once per interval")
    func oldTransaction() {
        var run = ScanRun()
        run.oldest = 1
        run.create(12_000)
        #expect(run.scan() == [0, 5000, 10_000])
        #expect(run.found.count == 12_000)
        for _ in 0..<20 {
            run.create(1)
            #expect(run.scan() == [run.highest - 1 - StreamScan.recentIDs])
        }
        run.now += .seconds(10)
        #expect(run.scan() == [0, 5000, 10_000])
        #expect(run.scan().count == 1)
        #expect(run.found.count == 12_020)
        // With its end all of that is over.
        run.oldest = run.next
        for _ in 0..<3 {
            run.now += .seconds(10)
            run.scan()
        }
        #expect(run.scan() == [12_020])
    }

    @Test("an id that is visible after higher ones is found: at once, or behind many others with the next whole scan")
    func late() {
        var run = ScanRun()
        run.oldest = 1
        run.create(10)
        run.hide(5)
        run.scan()
        run.create(500)
        run.scan()
        #expect(!run.found.contains("5"))
        run.show(5)
        run.scan()
        #expect(run.found.contains("5"))

        run.create(1)
        run.hide(run.highest)
        let late = run.highest
        run.create(3000)
        run.scan()
        run.show(late)
        run.scan()
        #expect(!run.found.contains("\(late)"))
        run.now += .seconds(10)
        run.scan()
        #expect(run.found.contains("\(late)"))
        #expect(run.found.count == run.highest)
    }

    @Test("from the end: a stream that is created while the first scan goes from page to page begins at its start")
    func createdDuringFirstScan() {
        var run = ScanRun(from: .end)
        run.create(6000)
        run.scan { run in if run.asked == 1 { run.create(1) } }
        #expect(run.cursors["6000"] == 7)
        #expect(run.cursors["6001"] == 0)
    }

    @Test("a scan that failed is done again")
    func failed() {
        var run = ScanRun()
        run.create(6000)
        #expect(run.scan.begin(over: 1, at: run.now) != nil)
        #expect(run.scan.begin(over: 1, at: run.now) == nil)
        run.scan.failed()
        #expect(run.scan() == [0, 5000])
        #expect(run.found.count == 6000)
    }

    @Test("over another connection all are looked for again: the server may have lost the last ones")
    func reconnected() {
        var run = ScanRun()
        run.create(10)
        run.oldest = run.next
        for _ in 0..<3 { run.scan() }
        #expect(run.scan() == [10])
        run.reconnect()
        run.rename(10, "new")
        #expect(run.scan() == [0])
        #expect(run.found.contains("new"))
        #expect(run.found.count == 10)
    }

    @Test("what is not to be tailed is not looked for again when it is hinted at")
    func prefix() {
        var run = ScanRun(prefix: "1")
        run.create(20)
        run.scan()
        #expect(run.found == Set(["1"] + (10..<20).map { "\($0)" }))
        #expect(!run.scan.isNews([StreamName(trusting: "2").digest]))
        #expect(!run.scan.isNews(HintPayload(digests: [StreamName(trusting: "2").digest], number: 7)))
        #expect(run.scan.isNews([StreamName(trusting: "2").digest, StreamName(trusting: "21").digest]))
    }
}

/// A server whose streams are called as their ids, unless they are renamed, and have seven events each.
private struct ScanRun {
    var scan: StreamScan
    var now = ContinuousClock.now
    /// The oldest transaction under way, and the next there will be.
    var oldest = 1
    var next = 1
    private(set) var highest = 0
    private var hidden: Set<Int> = []
    private var names: [Int: String] = [:]
    private var connection = 1
    private(set) var cursors: [String: Int] = [:]
    /// How many pages were asked for.
    private(set) var asked = 0

    init(prefix: String = "", from start: TailStart = .start) {
        scan = StreamScan(prefix: prefix, from: start, interval: .seconds(10))
    }

    var found: Set<String> { Set(cursors.keys) }

    mutating func create(_ count: Int) {
        highest += count
        next += count
    }

    mutating func hide(_ id: Int) { hidden.insert(id) }

    mutating func show(_ id: Int) { hidden.remove(id) }

    mutating func rename(_ id: Int, _ name: String) { names[id] = name }

    /// What was found before is to be found again.
    mutating func reconnect() {
        connection += 1
        cursors = [:]
    }

    /// Scans, and says where its pages began.
    @discardableResult
    mutating func scan(_ afterPage: (inout ScanRun) -> Void = { _ in }) -> [Int] {
        var positions: [Int] = []
        var query = scan.begin(over: connection, at: now)
        while let page = query {
            positions.append(page.position)
            asked += 1
            let ids = (page.position + 1..<max(page.position + 1, highest + 1)).lazy
                .filter { [hidden] in !hidden.contains($0) }.prefix(page.limit)
            let rows = ids.map { [names] id in
                let name = StreamName(trusting: names[id] ?? "\(id)")
                return StreamScan.Page.Row(id: id, name: name, end: page.withEnds ? 7 : 0)
            }
            let answer = scan.answered(
                StreamScan.Page(rows: Array(rows), highest: highest, transactions: (oldest, next))
            )
            for stream in answer.new {
                #expect(cursors.updateValue(stream.cursor, forKey: stream.name.text) == nil)
            }
            query = answer.next
            afterPage(&self)
        }
        return positions
    }
}
