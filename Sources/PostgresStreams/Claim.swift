/// A stream that only its holder may write to, until somebody else claims it.
public struct Claim: Sendable {
    /// The stream to append to.
    public let stream: PostgresStream
    public let epoch: Int
    /// The next position as of the claim.
    public let position: Int
}

extension Claim: CustomStringConvertible {
    /// For logs.
    public var description: String { "\(stream) from position \(position)" }
}
