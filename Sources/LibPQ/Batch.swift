/// Statements that are sent together and end with a sync: one transaction (unless they say otherwise), one outcome.
package struct Batch: Sendable {
    package struct Command: Sendable {
        var statement: Statement
        var parameters: Parameters
    }

    /// What became of a batch. Called once, on the session's thread, outside its lock.
    package typealias Completion = @Sendable (Result<[QueryResult], BatchFailure>) -> Void

    var commands: [Command]
    package private(set) var completion: Completion
    /// Whoever gets the answer is likely to send the next batch at once, and to wait for that one too.
    var expectsAnother = false

    package init(
        _ commands: [(Statement, Parameters)],
        expectsAnother: Bool = false,
        completion: @escaping Completion
    ) {
        self.commands = commands.map { Command(statement: $0.0, parameters: $0.1) }
        self.completion = completion
        self.expectsAnother = expectsAnother
    }

    /// The same statements, with somebody else to tell.
    package func completing(_ completion: @escaping Completion) -> Batch {
        var batch = self
        batch.completion = completion
        return batch
    }
}
