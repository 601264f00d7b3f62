/// How what was asked for ends where nobody waits for it any more.
extension JournalError {
    static var cancelled: JournalError { JournalError(.cancelled, "the task was cancelled") }

    /// What was to be written was not sent.
    static var cancelledUnsent: JournalError {
        JournalError(.cancelled, outcome: .notWritten, "the task was cancelled")
    }

    static var closed: JournalError { JournalError(.closed, "the journal was closed") }

    /// What was to be written was not sent.
    static var closedUnsent: JournalError {
        JournalError(.closed, outcome: .notWritten, "the journal was closed")
    }

    /// For what has its answer at hand and so would not notice.
    static func checkCancellation() throws(JournalError) {
        if Task.isCancelled { throw cancelled }
    }

    /// Ends a tail; after anything else that a request fails with it goes on trying.
    var endsTail: Bool { [.refused, .closed, .cancelled].contains(code) }
}
