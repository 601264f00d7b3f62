/// Which containers are open around the scanner's cursor: one bit each, set for an object.
///
/// Used by ``JSONScanner`` alone. The innermost 64 levels are a register; deeper texts spill whole words, so that
/// ordinary JSON allocates nothing and the depth is bounded by memory, not by the thread's stack.
struct JSONNesting {
    private(set) var count = 0
    private var innermost: UInt64 = 0
    private var spilled: [UInt64] = []

    /// Whether the innermost open container is an object. Meaningless when none is open.
    @inline(__always)
    var isObject: Bool { innermost & 1 == 1 }

    @inline(__always)
    mutating func push(isObject: Bool) {
        if count & 63 == 0, count > 0 { spilled.append(innermost) }
        innermost = innermost << 1 | (isObject ? 1 : 0)
        count &+= 1
    }

    /// Call only when `count` is above 0.
    @inline(__always)
    mutating func pop() {
        count &-= 1
        innermost >>= 1
        if count & 63 == 0, count > 0, let word = spilled.popLast() { innermost = word }
    }
}
