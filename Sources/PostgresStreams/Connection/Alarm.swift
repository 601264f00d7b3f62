import LibPQ
import Synchronization

/// What it means that the timer of a conversation's session rings: that its time is over, or that it has been silent for long.
final class Alarm: Sendable {
    /// Finds out whether the server is at what was run; nil: nobody could tell.
    typealias Inquirer = @Sendable (_ completion: @escaping @Sendable (_ isAtWork: Bool?) -> Void) -> Void

    private enum Purpose {
        case nothing
        /// The session's time is over then.
        case limit(ContinuousClock.Instant)
        /// - readyCount: the session's, when the timer was set.
        case watch(Inquirer, readyCount: Int)
    }

    private struct State {
        var purpose = Purpose.nothing
        /// Another for each: what was found out for one says nothing of the next.
        var number = 0
        var reason: String?
    }

    private let state = Mutex(State())

    /// Why the session was closed on this side; nil where it was not.
    var reason: String? { state.withLock(\.reason) }

    func limit(_ session: Session, to time: Duration?) {
        state.withLock { state in
            let end = time.map { ContinuousClock.now + $0 }
            state.purpose = end.map { .limit($0) } ?? .nothing
            state.number += 1
            // Under the lock, or an older one could be set later. One that is set rings for nobody, rather than be taken
            // back: the next is later, and setting it then wakes no thread.
            if let end { session.setTimer(at: end) }
        }
    }

    func watch(_ session: Session, by inquirer: @escaping Inquirer) {
        state.withLock { state in
            state.number += 1
            Self.watch(session, by: inquirer, &state)
        }
    }

    private static func watch(_ session: Session, by inquirer: @escaping Inquirer, _ state: inout State) {
        state.purpose = .watch(inquirer, readyCount: session.readyCount)
        session.setTimer(at: .now + Link.longestSilence)
    }

    /// On the session's thread.
    func ring(_ session: Session) {
        let (purpose, number) = state.withLock { ($0.purpose, $0.number) }
        switch purpose {
        case .limit(let time) where time <= .now: end(session, "the server did not answer in time")
        case .nothing, .limit: break
        case .watch(let inquirer, let count) where session.readyCount == count:
            inquirer { [self] isAtWork in found(isAtWork, of: session, number) }
        case .watch: found(nil, of: session, number)
        }
    }

    private func found(_ isAtWork: Bool?, of session: Session, _ number: Int) {
        let isLost = state.withLock { state in
            guard state.number == number, case .watch(let inquirer, let count) = state.purpose else { return false }
            if isAtWork == false, session.readyCount == count { return true }
            Self.watch(session, by: inquirer, &state)
            return false
        }
        if isLost { end(session, "the connection fell silent, and the server is at nothing that came over it") }
    }

    private func end(_ session: Session, _ reason: String) {
        state.withLock { $0.reason = reason }
        session.close()
    }
}
