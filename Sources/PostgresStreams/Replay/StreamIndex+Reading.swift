import LibPQ
import TisynStreams

/// Reading on, and reading again what was dropped.
extension StreamIndex {
    typealias Request = ReadAhead<EventPage>.Request

    // MARK: Reading on

    /// Waits until the stream has been read up to `target`, or to its end.
    ///
    /// - Parameters:
    ///   - target: nil: one page more.
    ///   - towards: how far it is going to be asked for, so that more than a page can be under way.
    ///   - deadline: a page that could not be read is asked for again until then.
    func readOn(
        to target: Int? = nil,
        towards: Int = 0,
        until deadline: ContinuousClock.Instant
    ) async throws(JournalError) {
        while true {
            let progress = Progress()
            let outcome = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    progress.onValue { continuation.resume(returning: $0) }
                    wait(progress, for: target, towards: towards)
                }
            } onCancel: {
                progress.set(.failure(.cancelled))
                // Or the stream would be read on for nobody.
                state.withLock { $0.waiters.removeAll { $0.progress === progress } }
            }
            switch outcome {
            case .success: return
            case .failure(let error):
                // The request that failed may have been another's, sent long before we asked.
                guard error.code == .unreachable, ContinuousClock.now < deadline else { throw error }
            }
        }
    }

    private func wait(_ progress: Progress, for target: Int?, towards: Int) {
        let (requests, outcome): ([Request], Result<Void, JournalError>?) = state.withLock { state in
            if let replaced = state.replaced { return ([], .failure(replaced)) }
            let target = target ?? state.position + 1
            guard target > state.position, !state.isRead else { return ([], .success(())) }
            // Cancelled before: nobody would take it away again.
            guard !Task.isCancelled else { return ([], .failure(.cancelled)) }
            state.waiters.append(Waiter(target: target, towards: max(target, towards), progress: progress))
            return (Self.requests(&state), nil)
        }
        if let outcome { progress.set(outcome) }
        send(requests)
    }

    /// What to ask for, by what is waited for.
    private static func requests(_ state: inout State) -> [Request] {
        guard let farthest = state.waiters.lazy.map(\.towards).max() else { return [] }
        return state.ahead.requests(from: state.position, towards: farthest, end: state.end)
    }

    func send(_ requests: [Request]) {
        for request in requests {
            ask(for: request.start, count: request.count) { [self] in received($0, for: request) }
        }
    }

    private func ask(
        for start: Int,
        count: Int,
        completion: @escaping @Sendable (Result<EventPage, JournalError>) -> Void
    ) {
        var parameters = Parameters()
        parameters.append(name.text)
        parameters.append(start)
        parameters.append(count)
        ask(journal.statements.indexPage, parameters) { [self] result in
            let connection = reader.connectionNumber
            let page = result.flatMap { result in
                EventPage(result, start: start, connection: connection).map(Result.success)
                    ?? .failure(.damaged(name, from: start))
            }
            compared(page, completion)
        }
        lookAlong(upTo: start + count)
    }

    /// On the connection's thread.
    private func received(_ result: Result<EventPage, JournalError>, for request: Request) {
        switch result {
        case .failure(let error):
            let waiters: [Waiter] = state.withLock { state in
                guard state.ahead.failed(request) else { return [] }
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.progress.set(.failure(error)) }
        case .success(let page):
            var dropped: [EventPage] = []
            let (woken, requests, loss): ([Waiter], [Request], Int?) = state.withLock { state in
                guard state.ahead.received(page, for: request) else { return ([], [], nil) }
                let loss = state.takeArrived(dropping: &dropped)
                return (Self.takeWaiters(&state), Self.requests(&state), loss)
            }
            // Of what is missing nothing more is asked for: it would not be waited for any more.
            if let loss { lost(loss) } else { send(requests) }
            for waiter in woken { waiter.progress.set(.success(())) }
        }
    }

    private func lost(_ position: Int) {
        let error = short("position \(position) is missing")
        guard error.code == .unreachable else { return }
        // Whoever waits asks again, as long as there is time. Not at once: what is missing is on its way.
        state.withLock { $0.ahead.forget() }
        reader.setAlarm(at: .now + .milliseconds(50)) { [self] in
            let waiters = state.withLock { state in
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.progress.set(.failure(error)) }
        }
    }

    // MARK: Reading again

    /// The page that holds what was at the beginning of `range`, a page that was dropped, and as much of it as comes.
    func fetch(_ range: Range<Int>, until deadline: ContinuousClock.Instant) async throws(JournalError) -> EventPage {
        while true {
            let answer = PageAnswer()
            let outcome = await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    answer.onValue { continuation.resume(returning: $0) }
                    fetch(range, answer)
                }
            } onCancel: {
                answer.set(.failure(.cancelled))
            }
            switch outcome {
            case .success(let page): return page
            case .failure(let error):
                guard error.code == .unreachable, ContinuousClock.now < deadline else { throw error }
            }
        }
    }

    private func fetch(_ range: Range<Int>, _ answer: PageAnswer) {
        let (wanted, replaced): ([Range<Int>], JournalError?) = state.withLock { state in
            if let replaced = state.replaced { return ([], replaced) }
            let isUnderWay = state.fetches[range.lowerBound] != nil
            state.fetches[range.lowerBound, default: []].append(answer)
            var wanted = isUnderWay ? [] : [range]
            // Whoever goes through dropped pages in order will want the next one too.
            if range.lowerBound == state.lastFetchEnd, state.hasRoomAhead,
                let next = state.pages.droppedPage(after: range), state.fetches[next.lowerBound] == nil
            {
                state.fetches[next.lowerBound] = []
                wanted.append(next)
            }
            state.lastFetchEnd = wanted.last?.upperBound ?? range.upperBound
            return (wanted, nil)
        }
        if let replaced { answer.set(.failure(replaced)) }
        for range in wanted {
            ask(for: range.lowerBound, count: range.count) { [self] in fetched($0, for: range) }
        }
    }

    private func fetched(_ result: Result<EventPage, JournalError>, for range: Range<Int>) {
        if case .success(let page) = result, page.count < range.count, !page.endsLarge || page.count == 0 {
            let error = short("position \(range.lowerBound + page.count) is missing")
            guard error.code == .unreachable else { return }
            let answers = state.withLock { $0.fetches.removeValue(forKey: range.lowerBound) ?? [] }
            reader.setAlarm(at: .now + .milliseconds(50)) { for answer in answers { answer.set(.failure(error)) } }
            return
        }
        let (answers, dropped): ([PageAnswer], [EventPage]) = state.withLock { state in
            var dropped: [EventPage] = []
            if case .success(let page) = result, state.replaced == nil {
                dropped = state.pages.put(page, at: page.start, count: page.count, weight: page.weight)
            }
            return (state.fetches.removeValue(forKey: range.lowerBound) ?? [], dropped)
        }
        withExtendedLifetime(dropped) {}
        for answer in answers { answer.set(result) }
    }
}

extension StreamIndex.State {
    /// Takes in the pages that have come, as far as they follow on what was read. Returns a position that must be there
    /// and is not.
    ///
    /// - Parameter dropped: gets what had to go from the cache, to be ended when the lock is free again.
    mutating func takeArrived(dropping dropped: inout [EventPage]) -> Int? {
        while let (request, page) = ahead.next() {
            let count = page.count
            let (endsLarge, weight) = (page.endsLarge, page.weight)
            if count < request.count, !endsLarge, page.start + count < request.knownEnd { return page.start + count }
            ahead.tookIn(request, count: count, weight: weight, endsLarge: endsLarge)
            let indices = page.firstRows.map { table.index(adding: page.coroutineID(row: $0)) }
            for row in 0..<count {
                table.add(
                    page.kind(row: row),
                    ofCoroutineAt: indices[page.coroutine(row: row)],
                    at: page.start + row
                )
            }
            dropped += pages.put(page, at: page.start, count: count, weight: weight)
            pageWeight = weight
            if let known = end { end = max(known, position) }
        }
        return nil
    }
}
