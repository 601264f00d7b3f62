import Testing
import TisynStreams

@testable import PostgresStreams

/// The parts of the stream's index that need no server, against plain ones.
@Suite("Parts of the replay index")
struct ReplayPartsTests {
    @Test("a list of positions gives back what was put in", arguments: 0..<20 as Range<UInt64>)
    func positions(_ seed: UInt64) {
        var random = SplitMix(seed: seed)
        var list = PositionList()
        var plain: [Int] = []
        var position = Int.random(in: 0...1000, using: &random)
        for _ in 0..<Int.random(in: 0...500, using: &random) {
            list.append(position)
            plain.append(position)
            position += Int.random(in: 1...(1 << Int.random(in: 0...40, using: &random)), using: &random)
        }
        #expect(list.count == plain.count)
        #expect(list.last == plain.last ?? -1)
        #expect(plain.indices.map { list[$0] } == plain)
    }

    @Test("a table finds coroutines by the bytes of their ids, however many there are")
    func table() {
        var table = CoroutineTable()
        for position in 0..<20_000 {
            table.add(position % 7 == 0 ? .close : .yield, of: CoroutineID("root.\(position % 3000)"), at: position)
        }
        #expect(table.coroutines.count == 3000)
        #expect(table["root.1"]?.yields.count == (0..<20_000).count { $0 % 3000 == 1 && $0 % 7 != 0 })
        #expect(table["root.7"]?.close == (0..<20_000).last { $0 % 3000 == 7 && $0 % 7 == 0 })
        #expect(table["root"] == nil)
        #expect(table.yield(of: "root.1", at: 0) == 1)
        #expect(table.yield(of: "root.1", at: 100) == nil)
    }

    @Test(
        "a cache keeps no more than its capacity, and knows where every page began",
        arguments: 0..<20 as Range<UInt64>
    )
    func cache(_ seed: UInt64) {
        var random = SplitMix(seed: seed)
        var cache = PageCache<Int>(capacity: 1000)
        for _ in 0..<300 {
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                let count = Int.random(in: 1...50, using: &random)
                cache.put(cache.end, at: cache.end, count: count, weight: Int.random(in: 1...300, using: &random))
            case 1:
                cache.extend(by: Int.random(in: 0...9, using: &random), most: 40)
            default:
                guard cache.end > 0 else { continue }
                let position = Int.random(in: 0..<cache.end, using: &random)
                let (range, contents, _) = cache.page(at: position)
                #expect(range.contains(position))
                if let contents {
                    #expect(contents == range.lowerBound)
                } else {
                    // Read again, perhaps only its beginning.
                    let count = Int.random(in: 1...range.count, using: &random)
                    cache.put(range.lowerBound, at: range.lowerBound, count: count, weight: 100)
                    #expect(cache.page(at: range.lowerBound).range.count == count)
                }
            }
            #expect(cache.weight <= 1000)
        }
        var position = 0
        while position < cache.end {
            let range = cache.page(at: position).range
            #expect(range.lowerBound == position)
            position = range.upperBound
        }
        #expect(position == cache.end)
    }

    @Test("what is put in last stays, however large it is")
    func largePage() {
        var cache = PageCache<String>(capacity: 10)
        cache.put("a", at: 0, count: 5, weight: 4)
        cache.put("b", at: 5, count: 5, weight: 400)
        #expect(cache.page(at: 7).contents == "b")
        #expect(cache.page(at: 2).contents == nil)
        #expect(cache.droppedPage(after: 5..<10) == nil)
    }
}
