/// Random numbers that are the same in every run with the same seed (SplitMix64).
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    /// One for a part of a run, so that the parts do not take numbers from each other.
    package init(seed: UInt64, part: Int) {
        self.init(seed: seed)
        for _ in 0..<2 { state = next() ^ UInt64(bitPattern: Int64(part)) &* 0x9E37_79B9_7F4A_7C15 }
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// True once in `n` times.
    package mutating func once(in n: Int) -> Bool { Int.random(in: 0..<n, using: &self) == 0 }
}
