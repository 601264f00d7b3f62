/// What statements have made of a session, as far as the server reports that unasked.
package struct SessionStanding: Sendable, Equatable {
    /// Whether a transaction is open, one that has failed included.
    package var isInTransaction: Bool
    /// The encoding of what it sends, and takes ours for. Empty where the server does not say.
    package var clientEncoding: String
}
