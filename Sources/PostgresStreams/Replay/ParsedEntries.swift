import TisynStreams

/// The entries of a page that were asked for, so that each is parsed once: those whose strings take no more memory than the
/// page has been given for them. Used by `EventPage`.
struct ParsedEntries: Sendable {
    /// For the strings of an entry, in bytes: of a sha and a name of fifty characters. Inputs and values are slices of the
    /// page; it is long error messages that need more, and those are parsed again by who asks again.
    static let stringRoom = 208

    /// What the entries of so many events occupy at most, in bytes.
    static func weight(of count: Int) -> Int { count * (MemoryLayout<YieldEntry?>.stride + stringRoom) }

    private var entries: [YieldEntry?] = []

    subscript(row: Int) -> YieldEntry? { entries.isEmpty ? nil : entries[row] }

    /// - Parameter count: how many events the page has.
    mutating func keep(_ entry: YieldEntry, row: Int, of count: Int) {
        guard entry.stringMemory <= Self.stringRoom else { return }
        if entries.isEmpty { entries = Array(repeating: nil, count: count) }
        entries[row] = entry
    }
}

extension YieldEntry {
    /// What its strings have allocated, in bytes.
    fileprivate var stringMemory: Int {
        var memory = description.type.memory + description.name.memory + (description.sha?.memory ?? 0)
        if case .error(let failure) = result { memory += failure.message.memory + (failure.name?.memory ?? 0) }
        return memory
    }
}

extension JSONString {
    /// Up to fifteen bytes lie in the string itself; more have a header of 32 bytes, and are rounded up to 16.
    fileprivate var memory: Int {
        let count = encoded.utf8.count
        return count <= 15 ? 0 : (count + 32 + 31) & ~15
    }
}
