import StreamStress

/// Faults on the wire by chance: at which message of which connection follows from the seed alone. Used by `WireProxy`.
struct WireChaos: Sendable {
    private let seed: UInt64
    /// One message in so many is struck, on average; nil: none is.
    var rarity: Int?

    private(set) var counts: [WireProxy.Fault: Int] = [:]
    /// The last messages, and what was done to them: `12 → B 431`, `12 ← Z 6 cut`.
    private(set) var trace: [String] = []

    /// Those that end a connection early, and now and then one that nobody is told of, which costs a deadline.
    private static let faults: [WireProxy.Fault] =
        [.cut, .tear, .cutAfter, .halfClose, .delay, .drip, .cut, .tear, .cutAfter, .delay, .drip, .swallow]

    init(seed: UInt64, oneIn rarity: Int? = nil) {
        self.seed = seed
        self.rarity = rarity
    }

    mutating func fault(
        _ connection: Int,
        _ index: Int,
        _ direction: WireProxy.Direction,
        letter: Character,
        byteCount: Int
    ) -> WireProxy.Fault? {
        let place = (connection << 24 | index) << 1 | (direction == .toServer ? 0 : 1)
        var random = SeededGenerator(seed: seed, part: place)
        let isStruck = rarity.map { random.once(in: $0) } ?? false
        let fault = isStruck ? Self.faults.randomElement(using: &random) : nil
        var line = "\(connection) \(direction == .toServer ? "→" : "←") \(letter) \(byteCount)"
        if let fault {
            counts[fault, default: 0] += 1
            line += " \(fault)"
        }
        trace.append(line)
        if trace.count > 600 { trace.removeFirst(300) }
        return fault
    }
}
