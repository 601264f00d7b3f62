/// Rising positions, in little memory: about a byte for each where they lie close together.
///
/// Used by `CoroutineTable`, which keeps one for each coroutine of a stream that may have many millions of events. The
/// distances are kept, 7 bits a byte, and every 32nd position in full, so that any of them is found in a few steps.
struct PositionList: Sendable {
    private struct Mark {
        let position: Int
        /// Where in `distances` the one after it begins.
        let offset: Int
    }

    private static let interval = 32

    private var first = 0
    private var distances: [UInt8] = []
    /// Of the positions with the indices 32, 64, …
    private var marks: [Mark] = []
    private(set) var count = 0
    /// The highest; -1 where there is none.
    private(set) var last = -1

    /// Adds a position above all there are.
    mutating func append(_ position: Int) {
        if count == 0 {
            first = position
        } else if count.isMultiple(of: Self.interval) {
            marks.append(Mark(position: position, offset: distances.count))
        } else {
            var distance = UInt(bitPattern: position &- last)
            while distance >= 0x80 {
                distances.append(UInt8(truncatingIfNeeded: distance) | 0x80)
                distance >>= 7
            }
            distances.append(UInt8(truncatingIfNeeded: distance))
        }
        count += 1
        last = position
    }

    /// Where somebody reads a list: what makes the position after it cheap to find.
    struct Place: Sendable {
        fileprivate var index = -1
        fileprivate var position = -1
        /// Where in `distances` the one after it begins.
        fileprivate var offset = 0
    }

    /// The position at `index`, which must be below `count`.
    subscript(index: Int) -> Int {
        var place = Place()
        return position(at: index, &place)
    }

    /// The same for one who goes through the list, mostly in order.
    func position(at index: Int, _ place: inout Place) -> Int {
        precondition(index >= 0 && index < count, "a position past the end of a list")
        let block = index / Self.interval
        if place.index < 0 || place.index > index || place.index / Self.interval != block {
            place.index = block * Self.interval
            place.position = block == 0 ? first : marks[block - 1].position
            place.offset = block == 0 ? 0 : marks[block - 1].offset
        }
        while place.index < index {
            var distance: UInt = 0
            var shift: UInt = 0
            while true {
                let byte = distances[place.offset]
                place.offset += 1
                distance |= UInt(byte & 0x7F) << shift
                shift += 7
                if byte < 0x80 { break }
            }
            place.position += Int(bitPattern: distance)
            place.index += 1
        }
        return place.position
    }
}
