extension JournalError {
    static var cancelled: JournalError { JournalError(.cancelled, "the task was cancelled") }

    /// For what has its answer at hand and so would not notice.
    static func checkCancellation() throws(JournalError) {
        if Task.isCancelled { throw cancelled }
    }

    /// Ends a tail; after anything else that a request fails with it goes on trying.
    var endsTail: Bool { [.refused, .closed, .cancelled].contains(code) }
}
