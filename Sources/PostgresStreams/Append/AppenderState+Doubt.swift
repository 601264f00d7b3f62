import LibPQ

/// Connections that have been silent for long: which are to be looked into, and what follows from what is found.
extension AppenderState {
    /// A connection that has been silent for long, of which is to be found out whether it is of any use.
    struct Doubt {
        var wire: Int
        var session: Session
        var segmentID: Int
        var backendPID: Int?
        /// By when it is to be found out. Later it may be looked into anew: what asks may be swallowed as well.
        var deadline: ContinuousClock.Instant
    }

    /// Connections whose silence is to be explained. One that the server is at is silent with reason: it waits for a lock or
    /// a standby, and each sending anew would leave a process there that waits as well. One that swallows what it is given
    /// is lost, only that nobody says so.
    mutating func doubts(at now: ContinuousClock.Instant) -> [Doubt] {
        guard !isClosed, let timer = doubtTimer, timer <= now else { return [] }
        var doubts: [Doubt] = []
        var next = Earliest()
        for wire in wires.indices {
            guard let session = wires[wire].session, let first = wires[wire].underWay.first,
                let since = wires[wire].silentSince
            else { continue }
            guard !wires[wire].isLookedAfter else { continue }
            var time = since + (first.isRepeated ? trust * 2 : trust)
            if let from = wires[wire].doubtedFrom { time = max(time, from) }
            guard time <= now else {
                next.consider(time)
                continue
            }
            wires[wire].isLookedAfter = true
            doubts.append(
                Doubt(
                    wire: wire,
                    session: session,
                    segmentID: first.segmentID,
                    backendPID: wires[wire].backendPID,
                    deadline: now + trust
                )
            )
        }
        doubtTimer = next.time
        effects.timers += wires.indices
        return doubts
    }

    /// What was found.
    ///
    /// - Parameter isAtWork: whether the server is at what it was sent over the connection; nil: it could not be asked.
    /// - Returns: whether the connection is to be ended. What is on its wire is then settled over another.
    mutating func resolve(_ doubt: Doubt, isAtWork: Bool?, at now: ContinuousClock.Instant) -> Bool {
        let wire = doubt.wire
        guard wires[wire].session === doubt.session else { return false }
        wires[wire].isLookedAfter = false
        guard let first = wires[wire].underWay.first, let since = wires[wire].silentSince else { return false }
        // Answered meanwhile: it is not silent.
        if first.segmentID == doubt.segmentID, isAtWork == false {
            wires[wire].session = nil
            return true
        }
        if first.segmentID == doubt.segmentID { wires[wire].doubtedFrom = now + trust }
        let time = max(since + trust, wires[wire].doubtedFrom ?? now)
        if doubtTimer.map({ time < $0 }) ?? true {
            doubtTimer = time
            effects.timers += wires.indices
        }
        return false
    }
}
