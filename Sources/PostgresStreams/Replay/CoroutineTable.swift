import TisynStreams

/// Where each coroutine's events stand in a stream: the positions of its yields, and of its last close.
///
/// What `StreamIndex` keeps of every event it has read, whatever it drops of their contents. It looks coroutines up by the
/// bytes of their ids as they came over the wire, so that an event of a known coroutine costs no string.
struct CoroutineTable: Sendable {
    struct Coroutine: Sendable {
        let id: CoroutineID
        var yields = PositionList()
        /// Of its last close; -1 where it has none.
        var close = -1
    }

    /// In the order of their first events.
    private(set) var coroutines: [Coroutine] = []

    private var ids = IDTable()

    /// The coroutine's index in `coroutines`, where it is added if it is new.
    mutating func index(adding id: UnsafeRawBufferPointer) -> Int {
        let index = ids.index(of: id) { coroutines[$0].id.isEncoded(as: id) }
        if index == coroutines.count {
            coroutines.append(Coroutine(id: CoroutineID(encoded: String(decoding: id, as: UTF8.self))))
        }
        return index
    }

    /// Adds the event that follows, of the coroutine at `index`.
    mutating func add(_ kind: DurableEvent.Kind, ofCoroutineAt index: Int, at position: Int) {
        switch kind {
        case .yield: coroutines[index].yields.append(position)
        case .close: coroutines[index].close = position
        }
    }

    mutating func add(_ kind: DurableEvent.Kind, of id: CoroutineID, at position: Int) {
        var encoded = id.encoded
        let index = encoded.withUTF8 { self.index(adding: UnsafeRawBufferPointer($0)) }
        add(kind, ofCoroutineAt: index, at: position)
    }

    subscript(id: CoroutineID) -> Coroutine? { index(of: id).map { coroutines[$0] } }

    /// The coroutine's index in `coroutines`, which it keeps; nil where it has no events so far.
    func index(of id: CoroutineID) -> Int? {
        var encoded = id.encoded
        return encoded.withUTF8 { bytes in
            let bytes = UnsafeRawBufferPointer(bytes)
            return ids.find(bytes) { coroutines[$0].id.isEncoded(as: bytes) }
        }
    }
}

extension CoroutineID {
    /// Whether these bytes are what `encoded` gives.
    func isEncoded(as bytes: UnsafeRawBufferPointer) -> Bool {
        var encoded = encoded
        return encoded.withUTF8 { UnsafeRawBufferPointer($0).hasSameBytes(as: bytes) }
    }
}
