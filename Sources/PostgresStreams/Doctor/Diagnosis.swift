/// What the doctor found: a finding for each thing it looked at, in the order it looked.
public struct Diagnosis: Sendable, Hashable {
    public internal(set) var findings: [Finding] = []

    /// The worst of the findings.
    public var verdict: Finding.Verdict { findings.map(\.verdict).max() ?? .ok }

    public func count(of verdict: Finding.Verdict) -> Int { findings.count { $0.verdict == verdict } }
}

/// One thing the doctor looked at.
public struct Finding: Sendable, Hashable {
    public enum Verdict: String, Sendable, Hashable, Comparable {
        case ok
        /// It works, and not as well as it could, or only until something happens.
        case warning
        /// The journal does not work here, or what it acknowledges is not durable.
        case problem

        private var weight: Int {
            switch self {
            case .ok: 0
            case .warning: 1
            case .problem: 2
            }
        }

        public static func < (left: Verdict, right: Verdict) -> Bool { left.weight < right.weight }
    }

    /// What was looked at: a short name that stays the same, such as `fsync`.
    public let check: String
    public let verdict: Verdict
    /// What is there.
    public let found: String
    /// What that means for the journal.
    public let meaning: String?
    /// What to do about it.
    public let advice: String?

    private init(_ check: String, _ verdict: Verdict, _ found: String, _ meaning: String?, _ advice: String?) {
        self.check = check
        self.verdict = verdict
        self.found = found
        self.meaning = meaning
        self.advice = advice
    }

    static func ok(_ check: String, _ found: String, means meaning: String? = nil) -> Finding {
        Finding(check, .ok, found, meaning, nil)
    }

    static func warning(_ check: String, _ found: String, means meaning: String, advice: String?) -> Finding {
        Finding(check, .warning, found, meaning, advice)
    }

    static func problem(_ check: String, _ found: String, means meaning: String, advice: String?) -> Finding {
        Finding(check, .problem, found, meaning, advice)
    }
}
