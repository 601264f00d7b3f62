/// What a segment that is being cut can still take.
struct SegmentRoom {
    var bytes: Int
    var events: Int

    func takes(_ append: Append) -> Bool { append.byteCount <= bytes && events > 0 }

    mutating func take(_ append: Append) {
        bytes -= append.byteCount
        events -= append.events.count
    }
}
