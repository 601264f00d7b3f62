/// A promise that a history shows to be broken.
package struct Violation: Hashable, Sendable, CustomStringConvertible {
    package enum Law: String, Hashable, Sendable, CaseIterable {
        case acknowledgedIsThere = "an acknowledged event is there, at the position that was answered"
        case onceAtMost = "an event is there once at most"
        case noStrangers = "a stream holds only what was appended to it, unaltered"
        case dense = "positions are dense from 0"
        case notWrittenIsAbsent = "what was reported as not written is not there"
        case writtenIsThere = "what was reported as written is there"
        case wholeBatches = "a batch is there whole, together and in order, or not at all"
        case ordered = "an append that began after another was acknowledged stands behind it"
        case exactPosition = "an append for a position is acknowledged there"
        case fenced = "after a claim no older writer writes, nor is acknowledged"
        case claimsRise =
            "a later claim has a higher epoch, and a position behind all that was known before, not past the end"
        case tailEqualsStream = "a tail delivers its stream's events, each once and in order, to the end"
        case replacedByFailoverOnly = "a tail says that the log lost its end only where there was a failover"
        case readIsPrefix = "a read is the stream's beginning, and has all that was acknowledged or shown before it"
        case outcomeIsSaid = "an append that fails says what became of its events, or how to find out"
        case refusedForAReason =
            "a writer is fenced only by a claim, and meets a conflict only where it expects a position"
        case tailGoesOn = "a tail ends with the root's close, or for a reason that it names"
        case replayEqualsStream = "a replay index answers what its stream holds"
        case wholeTransactions = "a transaction's event and its row are there together, or neither is"
    }

    package var law: Law
    /// The stream's number.
    package var stream: Int
    package var details: String

    package var description: String { "stream \(stream): \(details) (\(law.rawValue))" }
}
