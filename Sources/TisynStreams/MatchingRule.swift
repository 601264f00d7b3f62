/// How much of an effect must equal what the journal recorded.
public enum MatchingRule: Hashable, Sendable {
    /// Type, name and payload sha: the rule of contract §3. An entry without a sha is a nonconforming journal.
    case payload
    /// Type and name only, for journals older than payload-sensitive replay (Tisyn 0.7.0).
    case typeAndName
}
