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
        // And to one who goes through it, on and back.
        var place = PositionList.Place()
        var index = 0
        for _ in 0..<plain.count * 2 {
            #expect(list.position(at: index, &place) == plain[index])
            let isNext = Int.random(in: 0..<4, using: &random) > 0
            index = isNext ? (index + 1) % plain.count : Int.random(in: plain.indices, using: &random)
        }
    }

    @Test("a cursor goes through the yields, ends, and is moved past what its own replay appends")
    func cursor() {
        var table = CoroutineTable()
        for position in 0..<5 { table.add(position == 3 ? .close : .yield, of: "a", at: position) }
        var cursor = ReplayCursor()
        for expected in [0, 1, 2, 4] {
            #expect(cursor.position(in: table, of: "a") == expected)
            cursor.ordinal += 1
        }
        #expect(cursor.position(in: table, of: "a") == nil)
        // Not yet asked about the end: an event like any other.
        cursor.appended(at: 5)
        #expect(cursor.ordinal == 4)
        cursor.foundNothing(before: 5, in: table)
        cursor.appended(at: 5)
        #expect(cursor.ordinal == 5)
        table.add(.yield, of: "a", at: 5)
        #expect(cursor.position(in: table, of: "a") == nil)
        // Told twice, it counts once.
        cursor.appended(at: 5)
        #expect(cursor.ordinal == 5)
        // Another writer's yield is replayed, unless its own came behind it.
        table.add(.yield, of: "a", at: 7)
        var other = cursor
        #expect(other.position(in: table, of: "a") == 7)
        other.appended(at: 8)
        #expect(other.ordinal == 5)
        cursor.appended(at: 8)
        table.add(.yield, of: "a", at: 8)
        #expect(cursor.position(in: table, of: "a") == nil)
        #expect(cursor.ordinal == 7)
        // Who went past the end by hand is not moved back or on.
        cursor.ordinal = 20
        cursor.appended(at: 9)
        #expect(cursor.ordinal == 20)
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
        #expect(table.index(of: "root.1") == 1)
        #expect(table["root.1"]?.yields[0] == 1)
    }

    @Test(
        "a cache keeps no more than its capacity, and knows where every page began",
        arguments: 0..<20 as Range<UInt64>
    )
    func cache(_ seed: UInt64) {
        var random = SplitMix(seed: seed)
        var cache = PageCache<Int>(capacity: 1000)
        var kept: Set<Int> = []
        for _ in 0..<300 {
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                let count = Int.random(in: 1...50, using: &random)
                kept.insert(cache.end)
                kept.subtract(
                    cache.put(cache.end, at: cache.end, count: count, weight: Int.random(in: 1...300, using: &random))
                )
            case 1:
                cache.extend(by: Int.random(in: 0...9, using: &random), most: 40)
            default:
                guard cache.end > 0 else { continue }
                let position = Int.random(in: 0..<cache.end, using: &random)
                let (range, contents, following) = cache.page(at: position)
                #expect(range.contains(position))
                #expect((following == 0) == (range.upperBound == cache.end))
                if let contents {
                    #expect(contents == range.lowerBound)
                } else {
                    // Read again, perhaps only its beginning.
                    let count = Int.random(in: 1...range.count, using: &random)
                    kept.insert(range.lowerBound)
                    kept.subtract(cache.put(range.lowerBound, at: range.lowerBound, count: count, weight: 100))
                    #expect(cache.page(at: range.lowerBound).range.count == count)
                }
            }
            #expect(cache.weight <= 1000)
        }
        var position = 0
        while position < cache.end {
            let range = cache.page(at: position).range
            #expect(range.lowerBound == position)
            #expect((cache.page(at: position).contents != nil) == kept.contains(position))
            position = range.upperBound
        }
        #expect(position == cache.end)
    }

    @Test("what is put in last stays, however large it is")
    func largePage() {
        var cache = PageCache<String>(capacity: 10)
        #expect(cache.put("a", at: 0, count: 5, weight: 4) == [])
        #expect(cache.put("b", at: 5, count: 5, weight: 400) == ["a"])
        #expect(cache.page(at: 7).contents == "b")
        #expect(cache.page(at: 2).contents == nil)
        #expect(cache.droppedPage(after: 5..<10) == nil)
    }

    @Test("a page keeps parsed entries, but none whose strings take more memory than it is weighed with")
    func parsedEntries() throws {
        func entry(message: Int, name: Int) throws -> YieldEntry {
            let effect = try EffectDescription(
                effectID: "type.\(String(repeating: "n", count: name))",
                input: JSONText(#""\#(String(repeating: "x", count: 10_000))""#)
            )
            let failure = EffectFailure(message: JSONString(String(repeating: "é", count: message)), name: "TypeError")
            return YieldEntry(description: effect, result: .error(failure))
        }
        var entries = ParsedEntries()
        #expect(entries[1] == nil)
        let small = try entry(message: 5, name: 30)
        for (row, kept) in [small, try entry(message: 100, name: 5), try entry(message: 5, name: 150)].enumerated() {
            entries.keep(kept, row: row, of: 4)
        }
        #expect((0..<4).map { entries[$0] } == [small, nil, nil, nil])
        #expect(ParsedEntries.weight(of: 10) == 10 * ParsedEntries.weight(of: 1))
        #expect(ParsedEntries.weight(of: 1) >= MemoryLayout<YieldEntry?>.stride + ParsedEntries.stringRoom)
    }
}
