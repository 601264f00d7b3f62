/// Numbers ids 0, 1, 2 … in the order they come, and finds them by their bytes. It keeps no id: whoever uses it does, and
/// compares.
///
/// Used by `CoroutineTable` and `EventPage`, so that an event of a known coroutine costs no string, and by `ReplayCursors`.
///
/// Coroutines take turns, or one goes on for a while: so the id that was found last and the one that came in after it are
/// tried before an id is hashed, which takes several times as long.
struct IDTable: Sendable {
    /// Open addressing: the upper half of the hash and, in the lower half, 1 + the number; 0 is free.
    private var slots = [UInt64](repeating: 0, count: 32)
    private var count = 0
    /// The number that `index` gave last.
    private var last = 0

    /// The id's number; that of a new one is the count there was before.
    ///
    /// - Parameter isSame: whether the id is that of a number.
    mutating func index(of id: UnsafeRawBufferPointer, isSame: (Int) -> Bool) -> Int {
        last = likely(isSame) ?? hashed(id, isSame)
        return last
    }

    private mutating func hashed(_ id: UnsafeRawBufferPointer, _ isSame: (Int) -> Bool) -> Int {
        let hash = Self.hash(id)
        let slot = slot(hash, isSame)
        if slots[slot] != 0 { return Self.number(slots[slot]) }
        slots[slot] = (hash & ~Self.lowerHalf) | UInt64(count + 1)
        count += 1
        if count * 2 > slots.count { grow() }
        return count - 1
    }

    func find(_ id: UnsafeRawBufferPointer, isSame: (Int) -> Bool) -> Int? {
        if let number = likely(isSame) { return number }
        let entry = slots[slot(Self.hash(id), isSame)]
        return entry == 0 ? nil : Self.number(entry)
    }

    private func likely(_ isSame: (Int) -> Bool) -> Int? {
        guard count > 0 else { return nil }
        if isSame(last) { return last }
        let next = last + 1 < count ? last + 1 : 0
        return isSame(next) ? next : nil
    }

    /// Where the id is, or would be. Begins with the upper half of the hash, which is kept, so that growing needs no id.
    private func slot(_ hash: UInt64, _ isSame: (Int) -> Bool) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash >> 32) & mask
        while slots[slot] != 0 {
            if slots[slot] >> 32 == hash >> 32, isSame(Self.number(slots[slot])) { break }
            slot = (slot + 1) & mask
        }
        return slot
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: 0, count: old.count * 2)
        for entry in old where entry != 0 { slots[slot(entry) { _ in false }] = entry }
    }

    private static let lowerHalf: UInt64 = 0xFFFF_FFFF

    private static func number(_ entry: UInt64) -> Int { Int(entry & lowerHalf) - 1 }

    /// Seeded by the process, so that nobody can choose ids that collide.
    private static func hash(_ id: UnsafeRawBufferPointer) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(bytes: id)
        return UInt64(truncatingIfNeeded: hasher.finalize())
    }
}
