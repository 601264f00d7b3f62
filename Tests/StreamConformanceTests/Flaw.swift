import StreamConformance

/// One way to break the contract, the promise it breaks, and words of the reason that the suite must give.
enum Flaw: CaseIterable {
    case beginsWithAHeader, countsFromOne, leavesGaps
    case reorders, drops, duplicates
    case rewritesJSON, mistakesCoroutine, mergesEqualEvents
    case readsOnePage, mixesStreams, reusesItsBuffer
    case acknowledgesBeforeRecording, losesTheLastOnReopening, skipsAPosition, trustsItsMemory, hidesTheLast
    case recordsWhatFails, losesWhatItRecorded, failsInTheMiddleOfABatch
    case mistakesTheBatch, tearsTheBatch
    case mistakesTheExpected, ignoresExpectations, letsTwoWin
    case tailDrops, tailRepeats, tailEnds, tailHearsItsOwnProcess, tailIgnoresItsStart, tailTakesAnEventAlong
    case fencesNobody, fencesOnce, fencesNoBatch, fencesNoExpectation, recordsWhatWasUnderWay, losesWhatWasUnderWay
    case forgetsTheClaim, letsRivalsShare

    var breaks: (check: ConformanceCheck, words: String) {
        switch self {
        case .beginsWithAHeader: (.emptyStream, "before anything was appended, from position 0 on: there is an event")
        case .countsFromOne: (.positions, "should have landed at position 0 returned 1")
        case .leavesGaps: (.positions, "should have landed at position 1 returned 2")
        case .reorders: (.order, "the events are in another order")
        case .drops: (.order, "1 of 3 events are missing")
        case .duplicates: (.order, "once more than it was appended")
        case .rewritesJSON: (.text, "replaced or rewritten")
        case .mistakesCoroutine: (.text, "coroutine id is not that of the text")
        case .mergesEqualEvents: (.equalEvents, "should have landed at position 1 returned 0")
        case .readsOnePage: (.sizes, "505 of 1505 events are missing")
        case .mixesStreams: (.separation, "should have landed at position 0 returned 1")
        case .reusesItsBuffer: (.stability, "in what had been read before")
        case .acknowledgesBeforeRecording: (.acknowledgement, "for another reader, after the append returned")
        case .losesTheLastOnReopening: (.reopening, "when it was opened again")
        case .skipsAPosition: (.concurrentAppends, "returned 101 where 100 was to come")
        case .trustsItsMemory: (.concurrentAppends, "two share a position or there is a gap")
        case .hidesTheLast: (.prefixes, "had been acknowledged before a read that found")
        case .recordsWhatFails: (.failedAppend, "after an append that failed")
        case .losesWhatItRecorded: (.lostAcknowledgement, "recorded and not acknowledged")
        case .failsInTheMiddleOfABatch: (.failedBatch, "after a batch that failed")
        case .mistakesTheBatch: (.batch, "should have landed at 0..<3 returned 0..<1")
        case .tearsTheBatch: (.wholeBatches, "a part of a batch")
        case .mistakesTheExpected: (.expectedPosition, "expected at position 0 returned 1")
        case .ignoresExpectations: (.wrongExpectation, "expected at position 1 of an empty stream was acknowledged")
        case .letsTwoWin: (.race, "of 8 appends that expected position 0, 2 were acknowledged")
        case .tailDrops: (.tail, "1 of 60 events are missing")
        case .tailRepeats: (.tail, "once more")
        case .tailEnds: (.tail, "the tail ended after 20 events")
        case .tailHearsItsOwnProcess: (.tail, "19 of 60 events are missing")
        case .tailIgnoresItsStart: (.tailStart, "in a tail from position 3")
        case .tailTakesAnEventAlong: (.tailEnd, "after a tail was cancelled")
        case .fencesNobody: (.fencing, "an append by a writer without a claim was acknowledged")
        case .fencesOnce: (.fencing, "a writer without a claim, in another process was acknowledged")
        case .fencesNoBatch: (.fencedBatch, "a batch by a writer without a claim was acknowledged")
        case .fencesNoExpectation: (.fencedExpectation, "an append at the next position by a writer without a claim")
        case .recordsWhatWasUnderWay: (.claimDuringAppends, "there is an event that must not be there")
        case .losesWhatWasUnderWay: (.claimDuringAppends, "was acknowledged, and is not there")
        case .forgetsTheClaim: (.lastingClaim, "after the claimer was gone was acknowledged")
        case .letsRivalsShare: (.rivalClaims, "of 8 rivals that claimed the stream 8 could write")
        }
    }
}
