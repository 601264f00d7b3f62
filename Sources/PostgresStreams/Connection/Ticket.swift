import Synchronization

/// Ties a caller's cancellation to what it asked for, whichever comes first.
final class Ticket: Sendable {
    /// 0: not accepted yet; -1: cancelled before it was.
    private let id = Atomic<Int>(0)

    /// Takes the id it was accepted under; false where it had been cancelled.
    func accept(_ id: Int) -> Bool {
        self.id.compareExchange(expected: 0, desired: id, ordering: .acquiringAndReleasing).exchanged
    }

    /// The id to cancel; nil where it has not been accepted, and will not be.
    func cancel() -> Int? {
        let (exchanged, id) = id.compareExchange(expected: 0, desired: -1, ordering: .acquiringAndReleasing)
        return exchanged || id < 0 ? nil : id
    }
}
