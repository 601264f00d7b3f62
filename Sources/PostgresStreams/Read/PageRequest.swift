import LibPQ

/// A page that a reader has asked for. Copies of the reader share it; when the last of them has gone, it is not sent any
/// more.
final class PageRequest: Sendable {
    let answer = Once<Result<QueryResult, JournalError>>()
    private let requester: Requester
    private let ticket = Ticket()

    init(_ statement: Statement, _ parameters: Parameters, by requester: Requester, within timeout: Duration) {
        self.requester = requester
        // Not this object: what is sent would keep it, and it would never be given up.
        let answer = answer
        requester.send([(statement, parameters)], deadline: .now + timeout, ticket: ticket) { answer.set($0) }
    }

    deinit { requester.withdraw(ticket) }

    /// For all that wait for it: one whose task was not cancelled asks anew.
    func cancel() {
        requester.withdraw(ticket)
        answer.set(.failure(.cancelled))
    }
}
