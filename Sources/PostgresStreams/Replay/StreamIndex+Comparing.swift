import LibPQ
import TisynStreams

/// Where the stream ends, and whether it is still the one that was read.
///
/// A failover or restore can lose the end of a log, and other events can come in its place, as many or more: by length and
/// positions nothing is wrong. It takes another connection, though. So what comes over a new one is taken in only once the
/// anchor, an event behind all that was read, has been compared there:
///
///     connection 1   page ─► in    page ─► in
///     lost
///     connection 2   page ─► kept back    the anchor's token is the same ─► in; another, or none ─► `logReplaced`
///
/// With each look at the stream's end the anchor moves there, so that reading up to that end compares nothing more. What
/// was appended since, or came by a tail, lies behind it: a page that reaches so far takes a look along.
extension StreamIndex {
    /// What was known when the server was asked.
    struct Known: Sendable {
        /// The end cannot be less.
        var end: Int
        var anchor: Anchor?

        init(_ state: State) {
            end = max(state.end ?? 0, state.seenEnd)
            anchor = state.anchor
        }
    }

    // MARK: Asking

    /// Asks where the stream ends; at the same time for its first page, which whoever asks that wants next.
    func learnEnd() async throws(JournalError) {
        let answer = Progress()
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                answer.onValue { continuation.resume(returning: $0) }
                let (requests, known): ([Request], Known) = state.withLock { state in
                    let isFirst = state.position == 0 && state.ahead.isIdle
                    state.looks += 1
                    return (isFirst ? state.ahead.requests(from: 0, towards: 1, end: state.end) : [], Known(state))
                }
                send(requests)
                look(known) { answer.set($0) }
            }
        } onCancel: {
            answer.set(.failure(.cancelled))
        }
        try outcome.get()
    }

    /// Asks where the stream ends, and compares. It was counted as one of `looks`.
    private func look(_ known: Known, _ completion: @escaping @Sendable (Result<Void, JournalError>) -> Void) {
        var parameters = Parameters()
        parameters.append(name.text)
        parameters.append(known.anchor?.position ?? -1)
        ask(journal.statements.indexEnd, parameters) { [self] result in
            let outcome = result.flatMap { learned(StreamEnd($0), knowing: known, movesEnd: true) }
            let kept = state.withLock { state in
                state.looks -= 1
                defer { state.keptBack = [] }
                return state.keptBack
            }
            completion(outcome)
            if !kept.isEmpty { goOn(kept, outcome) }
        }
    }

    private func goOn(
        _ kept: [@Sendable (Result<Void, JournalError>) -> Void],
        _ outcome: Result<Void, JournalError>
    ) {
        if case .failure(let error) = outcome, error.code == .unreachable, reader.isOnStandby {
            // Whoever waits asks again. Not at once: what the standby lacks is on its way.
            reader.setAlarm(at: .now + .milliseconds(50)) { for goOn in kept { goOn(outcome) } }
        } else {
            for goOn in kept { goOn(outcome) }
        }
    }

    /// Over the connection that the pages come by, in turn with them.
    func ask(
        _ statement: Statement,
        _ parameters: Parameters,
        completion: @escaping Requester.Completion
    ) {
        let deadline = ContinuousClock.now + journal.configuration.readDeadline
        reader.send(statement, parameters, deadline: deadline, completion: completion)
    }

    /// Takes in what the server says of the stream's end. On the connection's thread.
    ///
    /// - Parameter movesEnd: the index knows of all the events from here on, not only that the others are still there.
    func learned(_ end: StreamEnd, knowing known: Known, movesEnd: Bool) -> Result<Void, JournalError> {
        guard end.position >= known.end else {
            return .failure(short("the stream had \(known.end) events and has \(end.position)"))
        }
        if let anchor = known.anchor, end.anchorToken != anchor.token {
            guard end.anchorToken != nil else { return .failure(short("position \(anchor.position) is missing")) }
            return .failure(replaced("position \(anchor.position) holds another append's event", at: anchor.position))
        }
        let connection = reader.connectionNumber
        let woken: [Waiter] = state.withLock { state in
            // A later anchor was not looked at.
            if state.anchor == known.anchor { state.comparedOn = connection }
            guard movesEnd else { return [] }
            if let last = end.anchor, state.comparedOn == connection, last.position > state.anchor?.position ?? -1 {
                state.anchor = last
            }
            let position = max(end.position, state.seenEnd, state.position)
            guard position > state.end ?? -1 else { return [] }
            state.heads.forget()
            state.end = position
            return Self.takeWaiters(&state)
        }
        for waiter in woken { waiter.progress.set(.success(())) }
        return .success(())
    }

    // MARK: Comparing

    /// A page is asked for, up to `end`: with it a look, where it could not be taken in without one.
    func lookAlong(upTo end: Int) {
        let (connection, isBehindPooler) = (reader.connectionNumber, reader.isBehindPooler)
        let known: Known? = state.withLock { state in
            guard isBehindPooler || !state.isKnown(upTo: end, on: connection), state.looks == 0 else { return nil }
            state.looks += 1
            return Known(state)
        }
        if let known { look(known) { _ in } }
    }

    /// Hands a page on, at once or when it has been found out that it is of the stream that was read.
    func compared(
        _ result: Result<EventPage, JournalError>,
        _ body: @escaping @Sendable (Result<EventPage, JournalError>) -> Void
    ) {
        guard case .success(let page) = result else { return body(result) }
        // Behind a pooler the same connection may be to another server any time.
        let mayHaveChanged = reader.isBehindPooler
        let (isKnown, known): (Bool, Known?) = state.withLock { state in
            if !mayHaveChanged, state.isKnown(upTo: page.end, on: page.connection) { return (true, nil) }
            state.keptBack.append { [self] outcome in
                switch outcome {
                case .failure(let error): body(.failure(error))
                case .success:
                    let isKnown = self.state.withLock { $0.isKnown(upTo: page.end, on: page.connection) }
                    // Its connection was lost before the other was compared: it is asked for again.
                    body(isKnown ? result : .failure(JournalError(.unreachable, "the connection was lost")))
                }
            }
            // One that is under way was sent behind the page.
            guard state.looks == 0 else { return (false, nil) }
            state.looks += 1
            return (false, Known(state))
        }
        if isKnown { return body(result) }
        if let known { look(known) { _ in } }
    }

    // MARK: Another stream

    /// The server has less of the stream than there is. A standby may have it yet.
    func short(_ how: String) -> JournalError {
        guard reader.isOnStandby else { return replaced(how) }
        return JournalError(.unreachable, "the standby is behind: of \(name) \(how)")
    }

    /// The stream is not what it was: nothing read of it counts any more, and whoever asks anew begins anew.
    ///
    /// - Parameter position: of an event that has another in its place.
    func replaced(_ how: String, at position: Int? = nil) -> JournalError {
        var error = JournalError(
            .logReplaced,
            "stream \(name) is not the one that was read for replay: \(how); replay it from a new index"
        )
        (error.expectedPosition, error.actualPosition) = (position, position)
        // First: whoever is told may ask anew at once, and this one would be had again.
        journal.replayIndices.remove(name, number)
        let (waiters, fetches): ([Waiter], [PageAnswer]) = state.withLock { [error] state in
            state.replaced = error
            state.ahead.forget()
            defer { (state.waiters, state.fetches) = ([], [:]) }
            return (state.waiters, state.fetches.values.flatMap { $0 })
        }
        for waiter in waiters { waiter.progress.set(.failure(error)) }
        for fetch in fetches { fetch.set(.failure(error)) }
        return error
    }
}

extension StreamIndex.State {
    /// Whether what comes over that connection is of the stream that was read, as far as `end`.
    func isKnown(upTo end: Int, on connection: Int) -> Bool {
        comparedOn == connection && end <= (anchor?.position ?? -1) + 1
    }
}
