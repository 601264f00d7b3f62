/// Statements that are sent together and end with a sync: one transaction (unless they say otherwise), one outcome.
package struct Batch: Sendable {
    package typealias Command = (statement: Statement, parameters: Parameters)

    /// What became of a batch. Called once, on the session's thread, outside its lock.
    package typealias Completion = @Sendable (Result<[QueryResult], BatchFailure>) -> Void

    var commands: [Command]
    package private(set) var completion: Completion
    let awake: Awake?

    /// What the session's thread stays awake for (`BusyWait`).
    package enum Awake: Sendable {
        /// For the batch's own answer, which comes soon. Where the thread itself sends the batch: it is not woken for it.
        case forAnswer
        /// For the next one's: whoever gets this batch's answer is likely to send another at once, and to wait for it too.
        case forNextAnswer
    }

    package init(_ commands: [Command], awake: Awake? = nil, completion: @escaping Completion) {
        self.commands = commands
        self.completion = completion
        self.awake = awake
    }

    /// The same statements, with somebody else to tell.
    package func completing(_ completion: @escaping Completion) -> Batch {
        var batch = self
        batch.completion = completion
        return batch
    }
}
