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
    /// Of those that count.
    private var countedAnswers = 0
    private var appendCount = 0
    private var busy = Duration.zero
    private var lastAnswer: ContinuousClock.Instant?
    /// Appends in a second over one connection.
    private var rateOfOne = 0.0

    /// In answers: how many pass until a change shows, how many are then counted, after how many a trial is given up, and how
    /// long the outcome is kept.
    private static let warmUp = 16
    private static let trial = 48
    private static let patience = 256
    private static let term = 2048
    /// More connections must be worth it by so much.
    private static let gain = 1.05

    /// A segment was answered.
    ///
    /// - Parameters:
    ///   - count: how many of its callers were.
    ///   - begin: when the first of the segments was sent that were on a wire until now, this one included.
    ///   - pause: so long at most callers take to come back; what is longer is idle, and says nothing.
    ///   - areAllOpen: whether all connections are there.
    mutating func answered(
        _ count: Int,
        sinceSending begin: ContinuousClock.Instant,
        pause: Duration,
        areAllOpen: Bool,
        at now: ContinuousClock.Instant
    ) {
        let before = lastAnswer ?? begin
        lastAnswer = now
        answerCount += 1
        switch phase {
        case .settled:
            if answerCount >= Self.term {
                start(.tryingOne, isWide: false)
            } else if !areAllOpen {
                isWide = false
            }
        case .tryingAll where !areAllOpen:
            // They are being made. What was counted before one was lost says nothing.
            (countedAnswers, appendCount, busy) = (0, 0, .zero)
            if answerCount >= Self.patience { start(.settled, isWide: false) }
        case .tryingOne, .tryingAll:
            countedAnswers += 1
            guard countedAnswers > Self.warmUp else { return }
            appendCount += count
            busy += now - (begin - before <= pause ? before : begin)
            if countedAnswers == Self.warmUp + Self.trial { conclude() }
        }
    }

    private mutating func conclude() {
        let rate = Double(appendCount) / max(busy / .seconds(1), .leastNormalMagnitude)
        if phase == .tryingOne {
            rateOfOne = rate
            start(.tryingAll, isWide: true)
        } else {
            start(.settled, isWide: rate > rateOfOne * Self.gain)
        }
    }

    private mutating func start(_ phase: Phase, isWide: Bool) {
        (self.phase, self.isWide) = (phase, isWide)
        (answerCount, countedAnswers, appendCount, busy) = (0, 0, 0, .zero)
    }
}
