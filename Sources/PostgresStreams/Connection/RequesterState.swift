import DequeModule
import LibPQ

/// What a `Requester` knows under its lock: what waits, is on the wire or rests, and what an answer means for it. No IO.
struct RequesterState {
    typealias Request = Requester.Request
    typealias Opener = @Sendable (Result<Greeting, JournalError>) -> Void

    private struct Alarm {
        var time: ContinuousClock.Instant
        var ring: @Sendable () -> Void
    }

    private var waiting: Deque<Request> = []
    private var underWay: [Int: Request] = [:]
    private var resting: [Request] = []
    private(set) var session: Session?
    private(set) var connectionNumber = 0
    private(set) var isOnStandby = false
    private(set) var isBehindPooler = false
    private(set) var serverStart: Int64?
    private var nextID = 0
    private var isClosed = false
    private var lastError: JournalError?
    /// The connection was lost, or could not be made, while something was to be asked; and is not there again.
    private(set) var isCutOff = false
    /// Called once the next session is ready, or cannot be.
    private var openers: [Opener] = []
    private var openDeadline: ContinuousClock.Instant?
    private var alarms: [Alarm] = []
    /// Since when the connection owes an answer: the last one, or when it was given the first thing after it had none.
    private var silentSince = ContinuousClock.now

    /// More would queue in the server's socket, where they cannot be given up.
    private static let maximumUnderWay = 8

    // MARK: In

    /// - Parameter ticket: where that was cancelled, nothing is sent and nobody is told.
    /// - Returns: false when it is closed.
    mutating func add(_ request: Request, _ ticket: Ticket?) -> Bool {
        guard !isClosed else { return false }
        nextID += 1
        guard ticket?.accept(nextID) ?? true else { return true }
        var request = request
        (request.id, request.turn) = (nextID, nextID)
        waiting.append(request)
        return true
    }

    /// Nobody waits for its answer any more.
    mutating func withdraw(_ id: Int) {
        waiting.removeAll { $0.id == id }
        resting.removeAll { $0.id == id }
        underWay[id]?.isWithdrawn = true
    }

    mutating func addOpener(until deadline: ContinuousClock.Instant, _ opener: @escaping Opener) {
        openers.append(opener)
        openDeadline = deadline
    }

    mutating func setAlarm(at time: ContinuousClock.Instant, _ ring: @escaping @Sendable () -> Void) {
        alarms.append(Alarm(time: time, ring: ring))
    }

    /// Those whose time has come; nil: all of them.
    mutating func takeAlarms(at now: ContinuousClock.Instant?) -> [@Sendable () -> Void] {
        func isDue(_ alarm: Alarm) -> Bool { now.map { alarm.time <= $0 } ?? true }
        defer { alarms.removeAll(where: isDue) }
        return alarms.filter(isDue).map(\.ring)
    }

    /// - Returns: what will not be answered any more.
    mutating func close() -> [Request] {
        isClosed = true
        defer { (waiting, underWay, resting) = ([], [:], []) }
        return Array(waiting) + underWay.values + resting
    }

    // MARK: Out

    /// What is to be put on the wire now; nil where that is nothing.
    mutating func takeTurn(_ statements: Statements, at now: ContinuousClock.Instant) -> (Session, [Request])? {
        guard let session else { return nil }
        var requests: [Request] = []
        // Behind a pooler the session would keep what is not its turn yet.
        let most = isBehindPooler ? 1 : Self.maximumUnderWay
        while underWay.count < most, var request = waiting.popFirst() {
            if underWay.isEmpty { silentSince = now }
            underWay[request.id] = request
            if request.waitsForLock {
                let patience = request.lockPatience(among: lockWaiterCount, at: now)
                request.commands.insert(statements.waiting(atMost: patience), at: 0)
            }
            requests.append(request)
        }
        return requests.isEmpty ? nil : (session, requests)
    }

    /// How many wait for locks, those that rest for a moment included.
    private var lockWaiterCount: Int {
        func waits(_ request: Request) -> Bool { request.waitsForLock && !request.isWithdrawn }
        return waiting.count(where: waits) + underWay.values.count(where: waits) + resting.count(where: waits)
    }

    // MARK: Answers

    /// - Returns: the request whose completion is to be told, nil where it is sent again or already over; and whether the
    ///   session is of no more use.
    mutating func answered(
        _ id: Int,
        over session: Session,
        _ outcome: Result<[QueryResult], BatchFailure>,
        at now: ContinuousClock.Instant
    ) -> (Request?, needsReconnect: Bool) {
        // The session takes no more, though its end is yet to be told. The first it lost is what the server was at.
        var wasAtIt = false
        // Or what was lost is an answer alone, and the session goes on, without us.
        var isLost = false
        if case .failure(.connectionLost(_, let wasSent)) = outcome, self.session === session {
            self.session = nil
            (wasAtIt, isLost) = (wasSent, true)
        }
        silentSince = now
        guard var request = underWay.removeValue(forKey: id) else { return (nil, isLost) }
        guard !request.isWithdrawn else { return (request, isLost) }
        // Lost: it goes back where it was, to the front, behind those lost with it that came before. One that may be why
        // rests, so that the others are answered meanwhile.
        if case .failure(.connectionLost) = outcome {
            if wasAtIt { request.losses += 1 }
            if wasAtIt, request.losses > 1 { rest(request) } else { putBack(request) }
            return (nil, isLost)
        }
        guard case .failure(.refused(let message)) = outcome, !request.finalStates.contains(message.sqlState) else {
            return (request, false)
        }
        let needsReconnect = SQLState.needsReconnect(message.sqlState)
        guard needsReconnect || SQLState.isWorthRetrying(message.sqlState) else { return (request, false) }
        if needsReconnect, self.session === session { self.session = nil }
        rest(request, because: message)
        return (nil, needsReconnect)
    }

    /// To where it was, behind those that came before it.
    private mutating func putBack(_ request: Request) {
        let index = waiting.firstIndex { $0.turn > request.turn } ?? waiting.endIndex
        waiting.insert(request, at: index)
    }

    /// - Parameter refusal: nil: the connection was lost over it.
    private mutating func rest(_ request: Request, because refusal: ServerMessage? = nil) {
        var request = request
        let isHeld = refusal?.sqlState == SQLState.lockNotAvailable && request.waitsForLock
        // Then it comes behind all that wait until now. Before them, it would be back as soon as there is another
        // connection; and a few whose streams are held would keep all places to themselves.
        if refusal == nil || isHeld {
            nextID += 1
            request.turn = nextID
        }
        request.refusal = refusal
        request.pause.failed()
        var delay = request.pause.delay
        // Most of the time it waits in the server, where it has its turn; nothing is won by being away from there.
        if isHeld { delay = min(delay, .milliseconds(100)) }
        request.restsUntil = .now + delay
        resting.append(request)
    }

    // MARK: The connection

    /// - Returns: those that waited for it.
    mutating func connected(_ session: Session, _ greeting: Greeting) -> [Opener] {
        self.session = session
        connectionNumber += 1
        isOnStandby = greeting.isInRecovery
        isBehindPooler = greeting.isBehindPooler
        serverStart = greeting.serverStart
        lastError = nil
        isCutOff = false
        defer { openers = [] }
        return openers
    }

    /// - Returns: those that waited for it.
    mutating func lost(_ error: JournalError) -> [Opener] {
        session = nil
        lastError = error
        isCutOff = !waiting.isEmpty || !underWay.isEmpty || !resting.isEmpty
        defer { openers = [] }
        return openers
    }

    /// Whether there is something to connect for.
    var isNeeded: Bool { !waiting.isEmpty || !resting.isEmpty || !openers.isEmpty }

    // MARK: Time

    mutating func endRests(at now: ContinuousClock.Instant) {
        for request in resting where request.mayBeSent(at: now) { putBack(request) }
        resting.removeAll { $0.mayBeSent(at: now) }
    }

    /// What is over, to be told so.
    struct Expired {
        var requests: [Request]
        var openers: [Opener]
        /// Nil where nothing is known but that the time is over.
        var reason: JournalError?
        /// The connection is taken for dead.
        var isSilent: Bool
    }

    /// Takes out what has waited too long. What is on the wire stays there: it may be answered yet, for nobody.
    mutating func expire(at now: ContinuousClock.Instant) -> Expired {
        func isOver(_ request: Request) -> Bool { request.deadline.map { $0 <= now } ?? false }
        let overdue = underWay.values.filter { isOver($0) && !$0.isOverdue }
        for request in overdue {
            underWay[request.id]?.isWithdrawn = true
            underWay[request.id]?.isOverdue = true
            underWay[request.id]?.completion = { _ in }
        }
        let isSilent = session != nil && silenceEnd.map { $0 <= now } ?? false
        // It is ended once.
        if isSilent { silentSince = now }
        let kept = waiting.filter(isOver) + resting.filter(isOver)
        waiting.removeAll(where: isOver)
        resting.removeAll(where: isOver)
        var ended: [Opener] = []
        if let deadline = openDeadline, deadline <= now { swap(&ended, &openers) }
        return Expired(requests: overdue + kept, openers: ended, reason: lastError, isSilent: isSilent)
    }

    /// When the connection is taken for dead, where nothing is answered until then.
    ///
    /// One that answers is none the worse for having more to do than there is time for: to end it would cost all
    /// others their answers, and the time to connect, and there would be more to do still. A deadline that passes on a
    /// dead one says so the sooner the shorter it is: those behind it, with longer deadlines or none, such as tails',
    /// wait no longer than that for a new connection. That nothing was answered counts from when something was owed.
    private var silenceEnd: ContinuousClock.Instant? {
        underWay.values.lazy.filter(\.isOverdue).map { silentSince + $0.longestSilence }.min()
    }

    /// When something is to be done.
    var nextTime: ContinuousClock.Instant? {
        var time = Earliest()
        if !openers.isEmpty { time.consider(openDeadline) }
        for request in underWay.values where !request.isOverdue { time.consider(request.deadline) }
        if session != nil { time.consider(silenceEnd) }
        for request in waiting { time.consider(request.deadline) }
        for request in resting {
            time.consider(request.deadline)
            time.consider(request.restsUntil)
        }
        for alarm in alarms { time.consider(alarm.time) }
        return time.time
    }
}
