import Testing

@testable import PostgresStreams

/// How much is asked for at once.
@Suite("The size of reads for tails")
struct TailReadSizeTests {
    private func query(_ eventByteCount: Int = PageReader.largeEventByteCount) -> TailRegistry.Query {
        TailRegistry.Query(
            id: 1,
            stream: StreamName(trusting: "s"),
            position: 0,
            isCompared: false,
            eventByteCount: eventByteCount
        )
    }

    @Test("a page weighs 4 MiB at most, by what is known of the events, and has four times as many of small ones")
    func single() {
        let size = TailReadSize(pageSize: 1000)
        #expect(size.limits(for: [query()], in: .catchingUp) == [129])
        #expect(size.limits(for: [query(20_000)], in: .catchingUp) == [210])
        #expect(size.limits(for: [query(1000)], in: .catchingUp) == [4001])
        #expect(size.limits(for: [query(1200)], in: .catchingUp) == [1001])
        #expect(size.limits(for: [query(60 << 20)], in: .catchingUp) == [2])
    }

    @Test("several share what one may have")
    func shared() {
        let size = TailReadSize(pageSize: 1000)
        let queries = [query(), query(20_000), query(100), query(1)]
        #expect(size.limits(for: queries, in: .catchingUp) == [33, 53, 1001, 1001])
        #expect(size.limits(for: Array(repeating: query(), count: 256), in: .following).allSatisfy { $0 == 2 })
        #expect(size.limits(for: Array(repeating: query(1), count: 256), in: .following).allSatisfy { $0 == 17 })
    }

    @Test("after an answer that was late it asks for less, and for more again when much comes quickly")
    func late() {
        var size = TailReadSize(pageSize: 1000)
        size.wasLate()
        #expect(size.limits(for: [query(20_000)], in: .catchingUp) == [53])
        for _ in 0..<20 { size.wasLate() }
        #expect(size.limits(for: [query(20_000)], in: .catchingUp) == [2])
        #expect(size.byteCount(of: .catchingUp) == 32 << 10)
        // Slow, or little: it stays.
        size.answered(32 << 10, in: .catchingUp, after: .seconds(9), within: .seconds(30))
        size.answered(100, in: .following, after: .zero, within: .seconds(30))
        #expect(size.byteCount(of: .catchingUp) == 32 << 10)
        for _ in 0..<20 {
            size.answered(size.byteCount(of: .catchingUp), in: .catchingUp, after: .seconds(1), within: .seconds(30))
        }
        #expect(size.byteCount(of: .catchingUp) == 4 << 20)
        // What follows has its own measure.
        size.wasLate()
        size.answered(size.byteCount(of: .following), in: .following, after: .seconds(1), within: .seconds(30))
        #expect(size.byteCount(of: .catchingUp) == 2 << 20)
    }

    @Test("the event that is only compared is none of those asked for")
    func compared() {
        var size = TailReadSize(pageSize: 1000)
        for _ in 0..<20 { size.wasLate() }
        var query = query(20_000)
        query.isCompared = true
        #expect(size.limits(for: [query], in: .following) == [3])
    }

    @Test("a tail that follows one by one is asked for one and one more")
    func one() {
        var query = query()
        query.expectsOne = true
        #expect(TailReadSize(pageSize: 1000).limits(for: [query], in: .following) == [2])
    }

    /// The limits of so many reads in a row of these tails, each of which brings as much as it may, or `count` events.
    private func limits(
        _ tails: Int,
        count: Int = .max,
        byteCount: Int,
        in lane: TailRegistry.Lane,
        reads: Int
    ) -> [Int] {
        let size = TailReadSize(pageSize: 1000)
        var registry = TailRegistry()
        let consumers = (0..<tails).map { _ in registry.addConsumer() }
        for consumer in consumers { registry.add(StreamName(trusting: "s"), cursor: 0, for: consumer) }
        return (0..<reads).map { _ in
            for consumer in consumers { while registry.pull(consumer) != nil {} }
            registry.hintAll()
            var limits: [Int] = []
            for taken in TailRegistry.Lane.allCases {
                let byteLimit = size.byteCount(of: taken)
                let queries = registry.takeQueries(taken, limit: 256, byteCount: byteLimit, connection: 1)
                let taking = size.limits(for: queries, in: taken)
                if taken == lane, queries.count == tails { limits = taking }
                for (query, limit) in zip(queries, taking) {
                    let rows = (0..<min(limit, count)).map { offset in
                        EventRow.made(at: query.position + offset, byteCount: byteCount)
                    }
                    _ = registry.read(query, rows, isFull: rows.count == limit, connection: 1)
                }
            }
            return limits.min() ?? 0
        }
    }

    @Test("catching up over small events gets to large pages in three reads, over large ones to what 4 MiB hold")
    func catchingUp() {
        #expect(limits(1, byteCount: 330, in: .catchingUp, reads: 5) == [129, 1001, 4001, 4001, 4001])
        #expect(limits(1, byteCount: 20_000, in: .catchingUp, reads: 3) == [129, 210, 210])
    }

    @Test("64 tails that follow, ten events each, are one read, with room for more")
    func crowd() {
        let last = limits(64, count: 10, byteCount: 330, in: .following, reads: 12).last
        #expect(last.map { $0 > 20 } == true)
    }
}
