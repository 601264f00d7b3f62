/// What is done to a run while it runs, at random times in an order that follows from the seed.
package struct Disruptor: Sendable {
    package struct Kind: Sendable {
        package var name: String
        package var action: @Sendable (inout SeededGenerator) async throws -> Void

        package init(_ name: String, _ action: @escaping @Sendable (inout SeededGenerator) async throws -> Void) {
            self.name = name
            self.action = action
        }
    }

    package var kinds: [Kind]
    /// Seconds between the end of one and the beginning of the next.
    package var pause: ClosedRange<Double>
    /// Makes everything well again, when the time is over.
    package var calm: @Sendable () async throws -> Void

    package init(
        _ kinds: [Kind],
        pause: ClosedRange<Double>,
        calm: @escaping @Sendable () async throws -> Void = {}
    ) {
        self.kinds = kinds
        self.pause = pause
        self.calm = calm
    }
}
