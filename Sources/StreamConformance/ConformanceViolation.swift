/// What a stream did that it must not. Thrown by ``ConformanceCheck/run(on:)``.
public struct ConformanceViolation: Error, Hashable, CustomStringConvertible {
    /// Which of the promises was broken.
    public let check: ConformanceCheck
    /// What was expected and what came, in words.
    public let reason: String

    public var description: String { "\(check): \(reason)" }
}
