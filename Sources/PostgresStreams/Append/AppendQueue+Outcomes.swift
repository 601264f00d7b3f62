import LibPQ

/// What became of what was sent, and what follows for the callers and for what is still to be sent.
extension AppendQueue {
    /// Takes the segment off the wire, if it is there and was not given up meanwhile.
    private mutating func takeOffTheWire(_ id: Int) -> Sent? {
        guard let index = onTheWire.firstIndex(where: { $0.segment.id == id }) else { return nil }
        return onTheWire.remove(at: index)
    }

    /// The stream is free again.
    private mutating func release(_ lane: Int, first: Bool = false) {
        lanes[lane].isBusy = false
        if !rests.isEmpty { rests[lane] = nil }
        guard !lanes[lane].waiting.isEmpty else { return }
        if first { ready.prepend(lane) } else { ready.append(lane) }
    }

    /// The same, where these were not written: they are tried anew, before what came later.
    ///
    /// That is under another token, by which no receipt knows it. So what was given up is not tried anew: it is not
    /// written, as its receipt will say.
    ///
    /// - Returns: those that are not.
    private mutating func release(_ lane: Int, again: [Append], first: Bool = false) -> [Resolution] {
        var resolutions: [Resolution] = []
        for append in again.reversed() {
            if append.isGivenUp {
                resolutions.append(Resolution(append: append, result: .failure(.cancelledUnsent)))
            } else {
                lanes[lane].waiting.prepend(append)
                waitingCount += 1
            }
        }
        release(lane, first: first)
        return resolutions.reversed()
    }

    /// The server committed, and answered each run of the segment.
    mutating func answered(_ id: Int, _ answers: [Segment.Answer]) -> [Resolution] {
        guard let sent = takeOffTheWire(id) else { return [] }
        let segment = sent.segment
        var resolutions: [Resolution] = []
        resolutions.reserveCapacity(segment.appendCount)
        for (run, answer) in zip(segment.runs, answers) {
            let lane = run.lane
            var again: [Append] = []
            switch answer.outcome {
            case .written: written(run, in: lane, answer, into: &resolutions)
            case .behind:
                collided(lane)
                remember(lane, next: answer.position ?? 0)
                again = run.appends
            case .conflict:
                let actual = answer.position ?? 0
                again = conflict(run, in: lane, actual: actual, isRepeated: sent.isRepeated, into: &resolutions)
            case .fenced:
                lanes[lane].end = nil
                let error = JournalError.fenced(run, answer)
                resolutions += run.appends.map { Resolution(append: $0, result: .failure(error)) }
            }
            resolutions += release(lane, again: again)
        }
        return resolutions
    }

    private mutating func written(
        _ run: Segment.Run,
        in lane: Int,
        _ answer: Segment.Answer,
        into resolutions: inout [Resolution]
    ) {
        var next = answer.position ?? run.position
        if next != run.position { collided(lane) }
        for append in run.appends {
            resolutions.append(Resolution(append: append, result: .success(next)))
            next += append.events.count
        }
        remember(lane, next: next, End(streamID: answer.streamID, token: run.token, epoch: run.epoch))
    }

    /// The stream did not end where we had left it.
    private mutating func collided(_ lane: Int) {
        if lanes[lane].end != nil { lanes[lane].unchained = Self.unchainedAfterCollision }
    }

    /// Returns what the server has yet to answer: those behind the first had their own expectation.
    private mutating func conflict(
        _ run: Segment.Run,
        in lane: Int,
        actual: Int,
        isRepeated: Bool,
        into resolutions: inout [Resolution]
    ) -> [Append] {
        collided(lane)
        remember(lane, next: actual)
        let error = run.isExact ? JournalError.conflict(run, actual: actual) : .logReplaced(run, actual: actual)
        if isRepeated, actual < run.position {
            // The sending that was lost may still come to work, when the stream has grown to its position.
            resolutions += unknown(run, because: error)
            return []
        }
        let failed = run.isExact ? run.appends.prefix(1) : run.appends[...]
        resolutions += failed.map { Resolution(append: $0, result: .failure(error)) }
        return Array(run.appends.dropFirst(failed.count))
    }

    private mutating func remember(_ lane: Int, next: Int, _ end: End? = nil) {
        lanes[lane].nextPosition = next
        lanes[lane].end = end
    }

    /// Of a chained segment so many runs were written, not all: the others' streams did not end as we knew them. Which, and
    /// why, the server says when it goes by `append_batch`.
    mutating func partlyWritten(_ id: Int, _ count: Int) {
        guard var sent = takeOffTheWire(id) else { return }
        sent.isRepeated = sent.isRepeated || count > 0
        sendAgain(sent)
    }

    private mutating func sendAgain(_ sent: Sent) {
        var sent = sent
        sent.segment.unchain()
        unsettled.prepend(sent)
    }

    /// What follows from a refusal.
    struct Refused {
        var resolutions: [Resolution] = []
        /// Nothing is to be sent on this connection for a while.
        var isToPause = false
    }

    /// The server rolled the segment back. What shared it is tried alone; what was alone is tried again, at once or after a
    /// rest, or fails.
    mutating func refused(_ id: Int, _ refusal: ServerMessage, at now: ContinuousClock.Instant) -> Refused {
        let state = refusal.sqlState
        guard !SQLState.leavesOutcomeOpen(state) else { return Refused(resolutions: connectionLost(id, sent: true)) }
        guard let sent = takeOffTheWire(id) else { return Refused() }
        let segment = sent.segment
        if segment.isChained, state == SQLState.uniqueViolation {
            // Somebody appended at the same moment. It goes another way, at once.
            sendAgain(sent)
            return Refused()
        }
        let isOnesFault = SQLState.mayBeOnesFault(state)
        if isOnesFault, segment.runs.count == 1 {
            return Refused(resolutions: rest(sent, because: refusal, at: now))
        }
        for run in segment.runs { rests[run.lane]?.refusal = nil }
        let isToPause = SQLState.isWorthRetrying(state)
        let passes = isToPause || SQLState.needsReconnect(state)
        let resolutions =
            if sent.isRepeated {
                refusedAgain(sent, refusal, passes: passes)
            } else if !passes, segment.appendCount == 1 {
                fail(segment.runs[0], because: refusal)
            } else {
                tryAgain(segment, alone: !passes || isOnesFault)
            }
        return Refused(resolutions: resolutions, isToPause: isToPause)
    }

    /// It was one stream's, so that it is that one which is held, or it alone that is too much. The others go on.
    private mutating func rest(
        _ sent: Sent,
        because refusal: ServerMessage,
        at now: ContinuousClock.Instant
    ) -> [Resolution] {
        let lane = sent.segment.runs[0].lane
        // Of one that is sent again it is not known in any case, unless it is tried in time.
        let deadline = sent.isRepeated ? nil : sent.segment.firstDeadline
        let rest = Rest(after: rests[lane], because: refusal, at: now, before: deadline)
        guard !sent.isRepeated else {
            rests[lane] = rest
            unsettled.append(Sent(segment: sent.segment, isRepeated: true, isLone: true))
            return []
        }
        let resolutions = tryAgain(sent.segment, alone: true)
        if !lanes[lane].waiting.isEmpty {
            ready.removeAll { $0 == lane }
            rests[lane] = rest
        }
        return resolutions
    }

    private mutating func fail(_ run: Segment.Run, because refusal: ServerMessage) -> [Resolution] {
        release(run.lane)
        return run.appends.map {
            Resolution(append: $0, result: .failure(JournalError(ofOurs: refusal, outcome: .notWritten)))
        }
    }

    /// Nothing of it was written: its appends go back to where they were.
    private mutating func tryAgain(_ segment: Segment, alone: Bool = false) -> [Resolution] {
        var resolutions: [Resolution] = []
        for run in segment.runs.reversed() {
            var appends = run.appends
            if alone { for index in appends.indices { appends[index].goesAlone = true } }
            resolutions += release(run.lane, again: appends, first: true)
        }
        return resolutions
    }

    /// The server rolled this sending back, which says nothing of the one that was lost: under new tokens its events
    /// could be written twice. Its runs can part, each as it was; a run cannot.
    private mutating func refusedAgain(_ sent: Sent, _ refusal: ServerMessage, passes: Bool) -> [Resolution] {
        let isOnesFault = SQLState.mayBeOnesFault(refusal.sqlState)
        if passes, !isOnesFault {
            sendAgain(sent)
            return []
        }
        guard sent.segment.runs.count > 1 else {
            return abandon(sent.segment, because: JournalError(ofOurs: refusal, outcome: .unknown))
        }
        for run in sent.segment.runs.reversed() {
            sendAgain(Sent(segment: segment([run]), isRepeated: true, isLone: isOnesFault))
        }
        return []
    }

    /// The connection was lost. What was on the wire is sent again as it was; `sent` false: it never left.
    @discardableResult
    mutating func connectionLost(_ id: Int, sent wasSent: Bool) -> [Resolution] {
        guard var sent = takeOffTheWire(id) else { return [] }
        for run in sent.segment.runs { rests[run.lane]?.refusal = nil }
        guard wasSent || sent.isRepeated else { return tryAgain(sent.segment) }
        sent.isRepeated = true
        sendAgain(sent)
        return []
    }

    // MARK: Giving up

    /// What is over its deadline.
    struct Expired {
        /// What was never sent is not written, what was sent may be.
        var resolutions: [Resolution] = []
        /// Their callers are to be told; their segments hold others that are not over, and are still to be answered.
        var givenUp: [Resolution] = []
        /// Segments on the wire of which some are over.
        var overdue: [Int] = []
        /// Segments on the wire that nobody waits for any more: their answers may come yet.
        var abandoned: [Segment] = []
    }

    /// Gives up what is over its deadline. A segment can only be sent again as it was: it stays until all of it is over.
    mutating func expire(at now: ContinuousClock.Instant, because reason: JournalError) -> Expired {
        var expired = Expired()
        expired.abandoned = onTheWire.map(\.segment).filter { $0.isOver(at: now) }
        onTheWire.removeAll { $0.segment.isOver(at: now) }
        expired.overdue = onTheWire.map(\.segment).filter { $0.isOverdue(at: now) }.map(\.id)
        let lost = unsettled.map(\.segment).filter { $0.isOver(at: now) }
        unsettled.removeAll { $0.segment.isOver(at: now) }
        let waiting = giveUpWaiting(because: reason) { $0.deadline <= now }
        for run in (expired.abandoned + lost).flatMap(\.runs) {
            let reason = refusal(of: run.lane) ?? reason
            expired.resolutions += abandon(run, because: reason)
        }
        expired.resolutions += waiting

        var given: [(Append, AppendReceipt)] = []
        for index in onTheWire.indices { given += onTheWire[index].segment.giveUp(overdueAt: now) }
        for index in unsettled.indices { given += unsettled[index].segment.giveUp(overdueAt: now) }
        expired.givenUp = given.map { append, receipt in
            let reason = laneNumber(of: append.stream).flatMap(refusal) ?? reason
            return Resolution(append: append, result: .failure(.unknown(receipt, because: reason)))
        }
        return expired
    }

    /// Why the server has not taken the lane's appends, where that is known. No other stream's were refused with them.
    private func refusal(of lane: Int) -> JournalError? {
        rests[lane]?.refusal.map { .refusedUntilDeadline($0, ofHeldStream: true) }
    }

    /// Gives up everything.
    mutating func close(because reason: JournalError) -> [Resolution] {
        let segments = sent
        onTheWire = []
        unsettled = []
        return segments.flatMap { abandon($0, because: reason) } + giveUpWaiting(because: reason) { _ in true }
    }

    private mutating func giveUpWaiting(
        because reason: JournalError,
        where isOver: (Append) -> Bool
    ) -> [Resolution] {
        var given: [Resolution] = []
        for lane in lanes.indices where lanes[lane].waiting.contains(where: isOver) {
            var error = reason.code == .closed ? reason : refusal(of: lane) ?? reason
            error.outcome = .notWritten
            given += lanes[lane].waiting.filter(isOver).map { Resolution(append: $0, result: .failure(error)) }
            lanes[lane].waiting.removeAll(where: isOver)
            if lanes[lane].waiting.isEmpty, !lanes[lane].isBusy { rests[lane] = nil }
        }
        waitingCount -= given.count
        ready.removeAll { lanes[$0].waiting.isEmpty }
        return given.sorted { $0.append.id < $1.append.id }
    }

    private mutating func abandon(_ segment: Segment, because reason: JournalError) -> [Resolution] {
        segment.runs.flatMap { abandon($0, because: reason) }
    }

    private mutating func abandon(_ run: Segment.Run, because reason: JournalError) -> [Resolution] {
        let rest = rests[run.lane]
        release(run.lane)
        // What held it holds those that wait behind it.
        if var rest, !lanes[run.lane].waiting.isEmpty {
            rest.end()
            rests[run.lane] = rest
        }
        return unknown(run, because: reason)
    }

    private func unknown(_ run: Segment.Run, because reason: JournalError) -> [Resolution] {
        var offset = 0
        return run.appends.map { append in
            defer { offset += append.events.count }
            return Resolution(
                append: append,
                result: .failure(.unknown(run.receipt(offset: offset), because: reason))
            )
        }
    }
}
