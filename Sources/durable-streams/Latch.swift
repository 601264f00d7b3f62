import Synchronization

/// A yes that is said once and stays, between tasks and threads: a signal came, a reader went.
final class Latch: Sendable {
    private let raised = Atomic(false)

    var isRaised: Bool { raised.load(ordering: .acquiring) }

    /// Returns whether this was the first time.
    @discardableResult
    func raise() -> Bool { !raised.exchange(true, ordering: .acquiringAndReleasing) }
}
