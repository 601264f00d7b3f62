import Testing

@testable import PostgresStreams

struct IDTableTests {
    /// A table with the ids beside it, as those who use it keep them.
    private struct Numbering {
        var table = IDTable()
        var ids: [String] = []

        mutating func index(_ id: String) -> Int {
            var id = id
            let index = id.withUTF8 { bytes in
                table.index(of: UnsafeRawBufferPointer(bytes)) { ids[$0].utf8.elementsEqual(bytes) }
            }
            if index == ids.count { ids.append(id) }
            return index
        }

        func find(_ id: String) -> Int? {
            var id = id
            return id.withUTF8 { bytes in
                table.find(UnsafeRawBufferPointer(bytes)) { ids[$0].utf8.elementsEqual(bytes) }
            }
        }
    }

    @Test("an empty table finds nothing, and an empty id is an id")
    func empty() {
        var numbering = Numbering()
        #expect(numbering.find("") == nil)
        #expect(numbering.index("") == 0)
        #expect(numbering.find("") == 0)
        #expect(numbering.find("root") == nil)
    }

    @Test(
        "ids are numbered in the order they first come, whether they come in turn, again and again or at random",
        arguments: [1, 2, 3, 100, 1000]
    )
    func numbers(count: Int) {
        var numbering = Numbering()
        var random = SplitMix(seed: UInt64(count))
        let inTurn = Array(0..<count) + Array(0..<count)
        let again = (0..<count).flatMap { [$0, $0, $0] }
        let byChance = (0..<count * 4).map { _ in Int.random(in: 0..<count, using: &random) }
        for number in inTurn + again + byChance + inTurn.reversed() {
            #expect(numbering.index("root.\(number)") == number)
            #expect(numbering.find("root.\(count + number)") == nil)
            #expect(numbering.find("root.\(count - 1 - number)") ?? count - 1 - number == count - 1 - number)
        }
        #expect(numbering.ids.count == count)
    }
}
