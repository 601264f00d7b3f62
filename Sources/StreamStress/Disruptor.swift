/// What is done to a run while it runs, at random times in an order that follows from the seed.
package struct Disruptor: Sendable {
    package struct Kind: Sendable {
        package var name: String
        /// It ends the server, and lets a standby take over that may be behind. Done once in a run.
        package var isFailover: Bool
        package var action: @Sendable (inout SeededGenerator) async throws -> Void

        package init(
            _ name: String,
            isFailover: Bool = false,
            _ action: @escaping @Sendable (inout SeededGenerator) async throws -> Void
        ) {
            self.name = name
            self.isFailover = isFailover
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
