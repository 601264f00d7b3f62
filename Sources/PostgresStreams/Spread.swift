/// Whether segments go over one connection or over all where commits are slow. No IO.
///
/// What a commit waits for decides. Where that is a standby, several can wait side by side, and more connections get more
/// through. Where it is a disk that flushes once after the other, each flush should carry as much as it can, and that takes
/// one connection. So both are tried, and what got more through is kept for a while.
struct Spread {
    private enum Phase { case tryingOne, tryingAll, settled }

    /// Over all connections, rather than over one.
    private(set) var isWide = false
    private var phase = Phase.tryingOne
    private var answerCount = 0
    private var appendCount = 0
    private var begin: ContinuousClock.Instant?
    /// Appends in a second over one connection.
    private var rateOfOne = 0.0

    /// In answers: how many pass until a change shows, how many are then counted, and how long the outcome is kept.
    private static let warmUp = 8
    private static let trial = 32
    private static let term = 1024
    /// More connections must be worth it by so much.
    private static let gain = 1.05

    /// A segment of so many appends was answered.
    ///
    /// - Parameter areAllOpen: whether all connections are there.
    mutating func answered(_ count: Int, areAllOpen: Bool, at now: ContinuousClock.Instant) {
        answerCount += 1
        if phase == .settled {
            if answerCount >= Self.term { start(.tryingOne, isWide: false) }
            return
        }
        guard let begin else {
            if answerCount >= Self.warmUp { (self.begin, answerCount) = (now, 0) }
            return
        }
        appendCount += count
        guard answerCount >= Self.trial else { return }
        let rate = Double(appendCount) / ((now - begin) / .seconds(1))
        if phase == .tryingOne {
            rateOfOne = rate
            start(.tryingAll, isWide: true)
        } else {
            start(.settled, isWide: areAllOpen && rate > rateOfOne * Self.gain)
        }
    }

    private mutating func start(_ phase: Phase, isWide: Bool) {
        (self.phase, self.isWide) = (phase, isWide)
        (answerCount, appendCount, begin) = (0, 0, nil)
    }
}
