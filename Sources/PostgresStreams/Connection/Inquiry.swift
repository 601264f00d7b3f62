import LibPQ

/// Asks the server whether it is at what was sent over a connection that has been silent for long. Over one that is made for
/// it: those there are may be swallowed as well, or wait for what the silent one waits for.
struct Inquiry: Sendable {
    private let options: Link.Options

    init(_ options: Link.Options) {
        var options = options
        (options.purpose, options.measuresWay) = ("inquire", false)
        self.options = options
    }

    /// A connection to ask over. Closed by `ask`, or earlier by whoever no longer wants to know.
    func requester() -> Requester { Requester(options) }

    /// - Parameters:
    ///   - backendPID: the server's process behind the silent connection; nil where a pooler has many.
    ///   - completion: is told once; nil: it could not be asked.
    func ask(
        about backendPID: Int?,
        over requester: Requester,
        deadline: ContinuousClock.Instant,
        completion: @escaping @Sendable (_ isAtWork: Bool?) -> Void
    ) {
        var parameters = Parameters()
        parameters.append(backendPID)
        requester.send(options.statements.isAtWork, parameters, deadline: deadline) { result in
            completion(try? result.get().bool(row: 0, column: 0))
            requester.close()
        }
    }
}
