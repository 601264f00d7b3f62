import TisynStreams

/// The cursors of one replay: one for each coroutine that it asked about. Used by `StreamReplayIndex`. No IO.
struct ReplayCursors: Sendable {
    /// In the order in which they were first asked for, as `ids`.
    var values: [ReplayCursor] = []
    private var ids: [CoroutineID] = []
    private var table = IDTable()

    /// The index in `values` of the coroutine's cursor; a new one stands at the beginning.
    mutating func index(adding id: CoroutineID) -> Int {
        var encoded = id.encoded
        let index = encoded.withUTF8 { bytes in
            let bytes = UnsafeRawBufferPointer(bytes)
            return table.index(of: bytes) { ids[$0].isEncoded(as: bytes) }
        }
        if index == values.count {
            values.append(ReplayCursor())
            ids.append(id)
        }
        return index
    }

    /// The same for one that may be missing.
    func find(_ id: CoroutineID) -> Int? {
        var encoded = id.encoded
        return encoded.withUTF8 { bytes in
            let bytes = UnsafeRawBufferPointer(bytes)
            return table.find(bytes) { ids[$0].isEncoded(as: bytes) }
        }
    }

    /// How many of the coroutine's yields were consumed.
    func ordinal(of id: CoroutineID) -> Int { find(id).map { values[$0].ordinal } ?? 0 }

    mutating func consume(_ id: CoroutineID) {
        let index = index(adding: id)
        values[index].ordinal += 1
    }
}
