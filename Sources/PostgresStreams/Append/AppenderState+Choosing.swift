/// Which connection takes what there is to send, and whether any does now.
extension AppenderState {
    /// Segments on the wire of a connection to a server that is near. With a second one, if it is worth it, the server has
    /// something to do while the answer to the first is on its way and those who were answered append again.
    private static let depth = 2

    /// How many segments there may be on its wire. Behind a pooler one: of one it is reported that it hands the server's
    /// connection to others after the first answer, and loses those that come behind it (supabase/supavisor#1061).
    func depth(of wire: Int) -> Int {
        if wires[wire].isBehindPooler { return 1 }
        return pace.isFar ? pace.window : pace.isSlow ? 1 : Self.depth
    }

    func isFree(_ wire: Int) -> Bool { wires[wire].underWay.count < depth(of: wire) && wires[wire].isOpen }

    /// It takes nothing now, and nobody knows for how long.
    func isStuck(_ wire: Int, at now: ContinuousClock.Instant) -> Bool {
        !wires[wire].isOpen || wires[wire].silentSince.map { $0 + pace.way + Self.patience < now } ?? false
    }

    /// Whether what there is should go behind what is on this connection's wire. A small one would keep a commit to itself,
    /// and its writers, answered apart from the others, would come back apart; it waits for the answer, as do the writers
    /// who come back then. Where the way is far it would wait for a server that has nothing to do: there it goes, unless what
    /// is under way holds it up.
    func isWorthIt(_ wire: Int, at now: ContinuousClock.Instant) -> Bool {
        guard let ahead = wires[wire].underWay.last else { return true }
        guard !ahead.isLone else { return false }
        if pace.isFar { return !isStuck(wire, at: now) && wires[wire].byteCount < queue.segmentByteLimit }
        return queue.hasUnsettled || queue.ready.count >= max(Self.leastShare, ahead.runCount * 3 / 4)
    }

    /// Whether a segment goes over this connection. One connection with segments of many streams is faster than two with
    /// smaller ones, unless commits are slow and can wait side by side; another is for more than a segment can hold, too, or
    /// for when those before it do not answer: they may wait for a lock that somebody holds. And where several should be under
    /// way and a connection takes but one.
    func isNeeded(_ wire: Int, at now: ContinuousClock.Instant) -> Bool {
        if spread.isWide || queue.hasMoreThanASegment || (isBehindPooler && wire < pace.window) { return true }
        // By index, here and below: a wire is too large to be copied for every append. And in a loop: a closure takes a copy of
        // the whole state along.
        for other in 0..<wire where !isStuck(other, at: now) { return false }
        return true
    }

    /// The first that is free and not stuck, or could be made; none is made while another is.
    func nextWire(at now: ContinuousClock.Instant) -> Int? {
        var isConnecting = false
        for wire in wires.indices where wires[wire].isStarted && wires[wire].session == nil { isConnecting = true }
        for wire in wires.indices {
            if isFree(wire) ? !isStuck(wire, at: now) : !isConnecting && !wires[wire].isStarted { return wire }
        }
        return nil
    }
}
